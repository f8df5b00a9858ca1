# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An export of an NBD server, which QEMU itself speaks to: no kernel module is needed on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.volume import host_and_port
from . import luks, served
from .served import FILES, FORMAT, GROWS_OPEN, belongs, forget, grow, in_use, publish, remember, remove

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
    return luks.options(_node(volume, path), bool(volume.encryption))


def prepare(volume: Volume, key: str = "") -> None:
    """The server's disk, which was empty, is encrypted; a plain one is made there and not from here."""
    host, port = host_and_port(volume.pool["server"], PORT)
    spelled = f"nbd://{f'[{host}]' if ':' in host else host}:{port}/{volume.path}"
    served.encrypt(volume, spelled, _node(volume, volume.path), key)


def state(volume: Volume) -> str:
    """Return ready, or missing for one that is yet to be encrypted."""
    return served.state(volume, _node(volume, volume.path))


def remembered(volume: Volume) -> Volume | None:
    """Return the volume as its server has it, None for one that is yet to be encrypted."""
    return served.found(volume, _node(volume, volume.path))


def _node(volume: Volume, path: str) -> dict[str, str]:
    host, port = host_and_port(volume.pool["server"], PORT)
    server = {"server.type": "inet", "server.host": host, "server.port": str(port)}
    return {"driver": "nbd", **server, "export": path}
