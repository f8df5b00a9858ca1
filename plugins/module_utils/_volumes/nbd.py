# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An export of an NBD server, which QEMU itself speaks to: no kernel module is needed on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.volume import host_and_port
from . import served
from .served import FILES, FORMAT, GROWS_OPEN, belongs, forget, grow, in_use, prepare, publish, remember, remove, state

if TYPE_CHECKING:
    from .volume import Volume

__all__ = [
    "FILES",
    "FORMAT",
    "GROWS_OPEN",
    "belongs",
    "forget",
    "grow",
    "in_use",
    "opened",
    "place",
    "prepare",
    "publish",
    "remember",
    "remembered",
    "remove",
    "state",
]

PORT = 10809


def place(name: str, identity: str, directory: str, pool: dict[str, Any]) -> str:
    """Return the name of the export."""
    return served.given(name, pool, "server", "location")[1]


def opened(volume: Volume, path: str) -> str:
    """Return how qemu-img opens the volume."""
    host, port = host_and_port(volume.pool["server"], PORT)
    server = f"file.server.type=inet,file.server.host={served.escaped(host)},file.server.port={port}"
    return f"driver=raw,file.driver=nbd,{server},file.export={served.escaped(path)}"


def remembered(volume: Volume) -> Volume:
    """Return the volume as its server has it."""
    return served.found(volume, opened(volume, volume.path))
