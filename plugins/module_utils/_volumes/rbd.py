# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image in a pool of a Ceph cluster, which every host sees; one made from an image is a clone, at once at any size.

The host's own Ceph configuration and keyring are used: no key passes through here. The parent of clones is the image
virtfleet-<id in the cache>, imported once into the pool, with a protected snapshot.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._files import UNFINISHED, spoken
from .._model.errors import ItemError
from .._qemu_img import run as qemu_img
from . import guest_format, luks
from .ceph import EXISTS, INVALID, NO_SUCH, OURS, SNAPSHOT, access, discard, is_open, names, rbd, size_of, tried
from .file import check_base
from .tools import DISPLACED, refuse_displaced

if TYPE_CHECKING:
    from .volume import Volume

FILES = False
GROWS_OPEN = False
FORMAT = "raw"
MIB, GIB = 2**20, 2**30
CONVERT_SECONDS = 3600  # of CPU
CONVERT_SPACE = 16 * 2**30  # librbd reserves much address space for its threads


def place(name: str, identity: str, directory: str, pool: dict[str, Any]) -> str:
    """Return pool/image: named after the instance as Nova does, or by the volume's id."""
    if not pool.get("pool"):
        raise ItemError(f"volume {name}: its volume type has no 'pool'", fault="request")
    return f"{pool['pool']}/{identity or posixpath.basename(directory) + '_' + name}"


def belongs(volume: Volume, directory: str) -> bool:
    """Return whether the image is named after the instance."""
    return posixpath.basename(volume.path).startswith(posixpath.basename(directory) + "_")


def prepare(volume: Volume, key: str = "") -> None:
    """A clone of the image, or a blank disk, is there under an unfinished name; an encrypted one is a whole copy."""
    unfinished = volume.path + UNFINISHED
    clones = bool(volume.base and not key)
    if not clones:
        there = names(volume.pool, volume.name)
        refuse_displaced(volume, lambda path: posixpath.basename(path) in there)
        if posixpath.basename(unfinished) in there:
            _rm(volume, unfinished)
    try:
        if key:
            luks.made(volume, _spelled(volume, unfinished), _node(volume, unfinished), key, CONVERT_SPACE)
        elif clones:
            _clone(volume, unfinished)
        elif volume.guest_format:
            _formatted(volume, unfinished)
        else:
            rbd(volume.pool, ["create", "--size", _megabytes(volume.size), unfinished], volume.name)
    except ItemError:
        _rm(volume, unfinished)
        raise


def publish(volume: Volume) -> None:
    """The prepared image has its name."""
    rbd(volume.pool, ["rename", volume.path + UNFINISHED, volume.path], volume.name)


def displace(volume: Volume) -> None:
    """The prepared image has the place of the one that was there."""
    old = volume.path + DISPLACED
    rbd(volume.pool, ["rm", "--no-progress", old], volume.name, NO_SUCH)
    rbd(volume.pool, ["rename", volume.path, old], volume.name)
    publish(volume)
    rbd(volume.pool, ["rm", "--no-progress", old], volume.name)


def state(volume: Volume) -> str:
    """Return ready, prepared or missing."""
    there, name = names(volume.pool, volume.name), posixpath.basename(volume.path)
    return "ready" if name in there else "prepared" if name + UNFINISHED in there else "missing"


def in_use(volume: Volume) -> bool:
    """Return whether a client, on whatever host, has the image open."""
    return is_open(volume.pool, volume.path)


def grow(volume: Volume, size: int, key: str = "") -> None:
    """The image has at least that size, in whole MiB; one that has it already is not asked again, which fails."""
    if (_length(volume) or 0) >= size:
        return
    if key:
        luks.grown(volume, _node(volume, volume.path), size, key, CONVERT_SPACE)
    else:
        rbd(volume.pool, ["resize", "--no-progress", "--size", _megabytes(size), volume.path], volume.name)


def remove(volume: Volume) -> bool:
    """The image is gone; one that is open somewhere is refused by the cluster."""
    there = names(volume.pool, volume.name)
    found = [path for path in (volume.path, volume.path + UNFINISHED) if posixpath.basename(path) in there]
    for path in found:
        _rm(volume, path)
    return bool(found)


def opened(volume: Volume, path: str) -> str:
    """Return how qemu-img opens the volume at a path."""
    return luks.options(_node(volume, path), bool(volume.encryption))


def remembered(volume: Volume) -> Volume | None:
    """Return the volume as the cluster has it: it needs no other memory."""
    size = _length(volume)
    if size is not None and volume.size <= size < volume.size + GIB:
        size = volume.size or size  # it came from a device that was a little larger
    return None if size is None else replace(volume, size=size)


def remember(volume: Volume) -> None:
    """Nothing is to be done: the cluster knows."""


def forget(volume: Volume) -> None:
    """Nothing is to be done: what is gone from the cluster is forgotten."""


def parent_of(pool: dict[str, Any], image_id: str) -> str:
    """Return the name of the image in the pool that clones are made from."""
    return f"{pool['pool']}/{OURS}{image_id}"


def _node(volume: Volume, path: str) -> dict[str, str]:
    user, conf = access(volume.pool)
    pool, _slash, image = path.partition("/")
    return {"driver": "rbd", "pool": pool, "image": image, "user": user, "conf": conf}


def _spelled(volume: Volume, path: str) -> str:
    """Return an image as qemu-img makes one."""
    user, conf = access(volume.pool)
    return f"rbd:{path}:id={user}:conf={conf}"


def _length(volume: Volume) -> int | None:
    """Return how many bytes the guest sees, None if there is no such image."""
    size = size_of(volume.pool, volume.path)
    return size - luks.HEADER if size and volume.encryption else size


def _rm(volume: Volume, path: str) -> None:
    rbd(volume.pool, ["rm", "--no-progress", path], volume.name, NO_SUCH)


def _clone(volume: Volume, target: str) -> None:
    """A clone of the parent is there, in as few calls as can be: each of them finds the cluster anew."""
    parent = parent_of(volume.pool, posixpath.basename(volume.base).partition(".")[0])
    command = ["clone", f"{parent}@{SNAPSHOT}", target]
    code = tried(volume.pool, command, volume.name, NO_SUCH, EXISTS)
    if code == NO_SUCH:
        if size_of(volume.pool, parent) is None:
            check_base(volume)
            _import_parent(volume, parent)
        code = tried(volume.pool, command, volume.name, EXISTS)
    if code == EXISTS:  # of a run that was killed
        _rm(volume, target)
        rbd(volume.pool, command, volume.name)
    resize = ["resize", "--no-progress", "--size", _megabytes(volume.size), target]
    if tried(volume.pool, resize, volume.name, INVALID):  # it has that size, or is larger
        size = size_of(volume.pool, target) or 0
        if size < volume.size:
            raise ItemError(f"volume {volume.name}: its clone stays at {spoken(size)}")


def _import_parent(volume: Volume, parent: str) -> None:
    """The image is in the cluster with its snapshot; two hosts that import it at once make one."""
    own = f"{parent}.{uuid.uuid4().hex}{UNFINISHED}"
    try:
        _imported(volume, volume.base_format, volume.base, own)
        rbd(volume.pool, ["snap", "create", "--no-progress", f"{own}@{SNAPSHOT}"], volume.name)
        rbd(volume.pool, ["snap", "protect", f"{own}@{SNAPSHOT}"], volume.name)
        rbd(volume.pool, ["rename", own, parent], volume.name, EXISTS)
    finally:
        if size_of(volume.pool, own) is not None:
            discard(volume.pool, own)


def _imported(volume: Volume, file_format: str, path: str, target: str) -> None:
    """The bytes of a file are an image of the cluster."""
    arguments = ["convert", "-q", "-f", file_format, "-O", FORMAT, path, _spelled(volume, target)]
    qemu_img(arguments, f"copy {path} to {target}", CONVERT_SECONDS, CONVERT_SPACE)


def _formatted(volume: Volume, target: str) -> None:
    """The image is blank but for what its guest expects."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="virtfleet-") as plain:
        os.truncate(plain.name, volume.size)
        guest_format.write(volume, plain.name)
        _imported(volume, "raw", plain.name, target)


def _megabytes(size: int) -> str:
    return f"{-(-size // MIB)}M"
