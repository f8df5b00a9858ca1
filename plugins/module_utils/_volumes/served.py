# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What disks of a storage server have in common: somebody makes, extends and deletes them there; QEMU speaks to it.

All that is done here is to ask the server whether it has the disk, and how large it is. Nothing is ever written:
whether there is something on a disk that is worth keeping nobody here can know.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._files import spoken
from .._model.errors import ItemError
from .._qemu_img import run
from . import luks
from .luks import Node

if TYPE_CHECKING:
    from .volume import Volume

FILES = False
GROWS_OPEN = False
FORMAT = "raw"
SECONDS = 30  # until a server that does not answer is given up
LOOK_SECONDS = 24 * 3600  # of CPU: a disk is read as a whole


def given(name: str, pool: dict[str, Any], *keys: str) -> list[str]:
    """Return what the backend needs to find a disk; ItemError naming what the volume and its type do not say."""
    for key in keys:
        if not pool.get(key):
            raise ItemError(f"volume {name}: it has no '{key}'", fault="request")
    return [str(pool[key]) for key in keys]


def found(volume: Volume, node: Node) -> Volume | None:
    """Return the volume as its server has it: as large as it should be, or smaller; ItemError when there is none.

    None for one that is yet to be encrypted.
    """
    whole = _size(volume, node)
    size = luks.length(volume, node, seconds=SECONDS) if volume.encryption else whole
    return None if size is None else replace(volume, size=min(size, volume.size) or size)


def _size(volume: Volume, node: Node) -> int:
    """Return how many bytes the server has."""
    what = f"find volume {volume.name} on {volume.pool['server']}"
    told = run(["info", "--output=json", "--image-opts", luks.options(node, False)], what, seconds=SECONDS)
    return int(json.loads(told or "{}")["virtual-size"])


def encrypt(volume: Volume, target: str, node: Node, key: str) -> None:
    """An empty disk of the server is encrypted now; one that is not empty is never written to."""
    server = volume.pool.get("server")
    if not key:
        raise ItemError(f"volume {volume.name} is made on {server}, not from here", fault="request")
    size = _size(volume, node)
    if size < volume.size + luks.HEADER:
        told = f"volume {volume.name} is to have {spoken(volume.size)} and LUKS needs 2 MiB more"
        raise ItemError(f"{told}: it has {size} bytes on {server}; extend it there first", fault="request")
    zeros = f"driver=null-co,size={size},read-zeroes=on"
    arguments = ["compare", "-q", "--image-opts", zeros, luks.options(node, False)]
    if run(arguments, f"look whether {volume.path} is empty", LOOK_SECONDS, harmless=(1,)) is None:
        told = f"{volume.path} on {server} is neither empty nor encrypted"
        raise ItemError(f"{told}: whose it is must be known before volume {volume.name} can have it", fault="request")
    luks.made(volume, target, node, key)


def belongs(volume: Volume, directory: str) -> bool:
    """Return that it is no instance's own."""
    return False


def publish(volume: Volume) -> None:
    """Nothing is to be done."""


def state(volume: Volume, node: Node) -> str:
    """Return ready, as what is not there was not found; missing for one that is yet to be encrypted."""
    return "missing" if volume.encryption and luks.length(volume, node, seconds=SECONDS) is None else "ready"


def in_use(volume: Volume) -> bool:
    """Return that no guest is known to have it open: the registry sees to it that one has it."""
    return False


def grow(volume: Volume, size: int, key: str = "") -> None:
    """The server makes it larger, not we."""
    told = f"volume {volume.name} is smaller than {spoken(size)} on {volume.pool['server']}"
    raise ItemError(f"{told}: extend it there first", fault="request")


def remember(volume: Volume) -> None:
    """Nothing is to be done: the server knows."""


def forget(volume: Volume) -> None:
    """Nothing is to be done."""


def remove(volume: Volume) -> bool:
    """It stays on its server."""
    return False
