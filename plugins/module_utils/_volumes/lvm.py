# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A logical volume of the host: whole (thick), or in a thin pool, where a disk made from an image is a snapshot.

A thick volume has blocks that another guest may have written to, so it is zeroed before anybody sees it. A thin pool
hands out blocks that read as zeros. The parent of thin snapshots is the volume virtfleet-<id in the cache>, which is
read-only.
"""

from __future__ import annotations

import json
import posixpath
import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._files import UNFINISHED
from .._model.errors import ItemError
from .._qemu_img import run as qemu_img
from . import group, guest_format, luks, tools
from .file import check_base

if TYPE_CHECKING:
    from .volume import Volume

FILES = False
GROWS_OPEN = True
FORMAT = "raw"
CONVERT_SECONDS = 3600  # of CPU
PARENTS = threading.Lock()  # of many disks that are made of an image at once, one copies it


def place(name: str, identity: str, directory: str, pool: dict[str, Any]) -> str:
    """Return the device: named after the instance, or by the volume's id."""
    if not pool.get("volume_group"):
        raise ItemError(f"volume {name}: its volume type has no 'volume_group'", fault="request")
    return f"/dev/{pool['volume_group']}/{identity or posixpath.basename(directory) + '_' + name}"


def belongs(volume: Volume, directory: str) -> bool:
    """Return whether the volume is named after the instance."""
    return posixpath.basename(volume.path).startswith(posixpath.basename(directory) + "_")


def prepare(volume: Volume, key: str = "") -> None:
    """A volume with what is in the image, or a blank one, is there under an unfinished name.

    An encrypted one is a whole copy, a little larger: the guest sees up to some MiB more than it was promised.
    """
    unfinished = volume.path + UNFINISHED
    if volume.id:
        tools.refuse_displaced(volume, lambda path: bool(_told(volume, path)))
    _remove(volume, unfinished)
    try:
        if key:
            _create(volume, unfinished, volume.size + luks.ROOM)
            luks.made(volume, unfinished, _node(unfinished), key)
        elif volume.base and volume.pool.get("thin_pool"):
            parent = _parent(volume)
            _lvm(volume, "lvcreate", "-y", "-kn", "-s", "-prw", "-n", posixpath.basename(unfinished), _named(parent))
            _extend(volume, unfinished, volume.size)
        else:
            _create(volume, unfinished, volume.size)
            if volume.base:
                check_base(volume)
                _copy(volume, unfinished)
        if volume.guest_format and not key:
            guest_format.write(volume, unfinished)
    except ItemError:
        _remove(volume, unfinished)
        raise


def publish(volume: Volume) -> None:
    """The prepared volume has its name."""
    name = posixpath.basename(volume.path)
    _lvm(volume, "lvrename", volume.pool["volume_group"], name + UNFINISHED, name)


def displace(volume: Volume) -> None:
    """The prepared volume has the place of the one that was there."""
    old, name = volume.path + tools.DISPLACED, posixpath.basename(volume.path)
    _remove(volume, old)
    _lvm(volume, "lvrename", volume.pool["volume_group"], name, name + tools.DISPLACED)
    publish(volume)
    _remove(volume, old)


def state(volume: Volume) -> str:
    """Return ready, prepared or missing."""
    if _told(volume, volume.path):
        return "ready"
    return "prepared" if _told(volume, volume.path + UNFINISHED) else "missing"


def in_use(volume: Volume) -> bool:
    """Return whether something has the device open."""
    told = _told(volume, volume.path)
    return bool(told) and told[1][5] == "o"


def grow(volume: Volume, size: int, key: str = "") -> None:
    """The volume has at least that size, in whole extents."""
    _extend(volume, volume.path, size + (luks.ROOM if volume.encryption else 0))


def remove(volume: Volume) -> bool:
    """The volume is gone, prepared or ready; one that is open is refused by LVM."""
    removed = [_remove(volume, path) for path in (volume.path, volume.path + UNFINISHED)]
    return any(removed)


def opened(volume: Volume, path: str) -> str:
    """Return how qemu-img opens the volume at a path."""
    return luks.options(_node(path), bool(volume.encryption))


def _node(path: str) -> dict[str, str]:
    return {"driver": "host_device", "filename": path}


def remembered(volume: Volume) -> Volume | None:
    """Return the volume as LVM has it: it needs no other memory."""
    told = _told(volume, volume.path)
    size = told[0] - (luks.HEADER if volume.encryption else 0) if told else 0
    return replace(volume, size=min(size, volume.size) or size) if told else None


def remember(volume: Volume) -> None:
    """Nothing is to be done: LVM knows."""


def forget(volume: Volume) -> None:
    """Nothing is to be done: what is gone from the group is forgotten."""


def _parent(volume: Volume) -> str:
    """Return the read-only volume with the image; of two runs that make it at once one does."""
    parent = f"/dev/{volume.pool['volume_group']}/virtfleet-{posixpath.basename(volume.base).partition('.')[0]}"
    with PARENTS:
        if not _told(volume, parent):
            check_base(volume)
            _make_parent(volume, parent)
    return parent


def _make_parent(volume: Volume, parent: str) -> None:
    own = f"{parent}.{uuid.uuid4().hex}{UNFINISHED}"
    try:
        _create(volume, own, _virtual_size(volume))
        _copy(volume, own)
        _lvm(volume, "lvchange", "-pr", _named(own))
        try:
            _lvm(volume, "lvrename", volume.pool["volume_group"], posixpath.basename(own), posixpath.basename(parent))
        except ItemError:
            if not _told(volume, parent):
                raise
    finally:
        _remove(volume, own)


def _virtual_size(volume: Volume) -> int:
    """Return the size of the image's disk; of a raw one that is the file's."""
    told = qemu_img(["info", "-f", volume.base_format, "--output=json", volume.base], f"look at {volume.base}")
    return int(json.loads(told or "{}")["virtual-size"])


def _create(volume: Volume, path: str, size: int) -> None:
    """A blank volume is there, in which nobody finds what others have written."""
    group, name, pool = volume.pool["volume_group"], posixpath.basename(path), volume.pool.get("thin_pool")
    if pool:
        _lvm(volume, "lvcreate", "-y", "-n", name, "-V", f"{size}b", "--thinpool", pool, group)
    else:
        _lvm(volume, "lvcreate", "-y", "-Wy", "-Zy", "-n", name, "-L", f"{size}b", group)
        _lvm(volume, "blkdiscard", "-f", "-z", path)


def _extend(volume: Volume, path: str, size: int) -> None:
    """The volume has at least that size; what a thick one gets is zeroed."""
    told = _told(volume, path)
    if not told or told[0] >= size:
        return
    _lvm(volume, "lvextend", "-y", "-L", f"{size}b", _named(path))
    if not volume.pool.get("thin_pool"):
        _lvm(volume, "blkdiscard", "-f", "-z", "-o", str(told[0]), path)


def _copy(volume: Volume, path: str) -> None:
    arguments = ["convert", "-q", "-n", "-f", volume.base_format, "-O", FORMAT, volume.base, path]
    qemu_img(arguments, f"copy {volume.base} to {path}", CONVERT_SECONDS)


def _remove(volume: Volume, path: str) -> bool:
    there = bool(_told(volume, path))
    if there:
        _lvm(volume, "lvremove", "-f", "-y", _named(path))
    return there


def _told(volume: Volume, path: str) -> tuple[int, str] | None:
    """Return size and attributes of a volume, None if there is none."""
    words = ["--noheadings", "--nosuffix", "--units", "b", "-o", "lv_size,lv_attr", _named(path)]
    told = _lvm(volume, "lvs", *words, missing=True).split()
    return (int(told[0]), told[1]) if told else None


def _named(path: str) -> str:
    """Return group/volume for a device."""
    return path.removeprefix("/dev/")


def _lvm(volume: Volume, *command: str, missing: bool = False) -> str:
    """Return what a command of LVM printed; empty for a volume that is missing where that is no error."""
    return group.run(command, f"volume {volume.name}: {command[0]}", missing)
