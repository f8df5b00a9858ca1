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

if TYPE_CHECKING:
    from .volume import Volume

FILES = False
GROWS_OPEN = False
FORMAT = "raw"
SECONDS = 30  # until a server that does not answer is given up


def given(name: str, pool: dict[str, Any], *keys: str) -> list[str]:
    """Return what the backend needs to find a disk; ItemError naming what the volume and its type do not say."""
    for key in keys:
        if not pool.get(key):
            raise ItemError(f"volume {name}: it has no '{key}'", fault="request")
    return [str(pool[key]) for key in keys]


def escaped(text: str) -> str:
    """Return a value as qemu-img takes it among options: a comma would begin another of them."""
    return text.replace(",", ",,")


def found(volume: Volume, options: str) -> Volume:
    """Return the volume as its server has it: as large as it should be, or smaller; ItemError when there is none."""
    what = f"find volume {volume.name} on {volume.pool['server']}"
    told = run(["info", "--output=json", "--image-opts", options], what, seconds=SECONDS)
    size = int(json.loads(told)["virtual-size"])
    return replace(volume, size=min(size, volume.size) or size)


def belongs(volume: Volume, directory: str) -> bool:
    """Return that it is no instance's own."""
    return False


def prepare(volume: Volume, key: str = "") -> None:
    """Nothing is made: what the server has is all there is."""
    raise ItemError(f"volume {volume.name} is made on {volume.pool.get('server')}, not from here", fault="request")


def publish(volume: Volume) -> None:
    """Nothing is to be done."""


def state(volume: Volume) -> str:
    """Return ready: what is not there was not found."""
    return "ready"


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
