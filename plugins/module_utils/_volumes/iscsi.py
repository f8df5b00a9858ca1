# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A LUN of an iSCSI target. QEMU is the initiator: the host needs no session and no device."""

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

PORT = 3260


def place(name: str, identity: str, directory: str, pool: dict[str, Any]) -> str:
    """Return target/LUN, as libvirt names the disk."""
    _server, target, lun = served.given(name, pool, "server", "target", "location")
    return f"{target}/{lun}"


def opened(volume: Volume, path: str) -> str:
    """Return how qemu-img opens the volume."""
    return luks.options(_node(volume, path), bool(volume.encryption))


def prepare(volume: Volume, key: str = "") -> None:
    """The server's disk, which was empty, is encrypted; a plain one is made there and not from here."""
    served.encrypt(volume, f"iscsi://{_portal(volume)}/{volume.path}", _node(volume, volume.path), key)


def state(volume: Volume) -> str:
    """Return ready, or missing for one that is yet to be encrypted."""
    return served.state(volume, _node(volume, volume.path))


def remembered(volume: Volume) -> Volume | None:
    """Return the volume as its server has it, None for one that is yet to be encrypted.

    One that wants a password is taken as it should be: QEMU opens it.
    """
    return volume if volume.pool.get("chap_user") else served.found(volume, _node(volume, volume.path))


def _portal(volume: Volume) -> str:
    host, port = host_and_port(volume.pool["server"], PORT)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _node(volume: Volume, path: str) -> dict[str, str]:
    target, _slash, lun = path.rpartition("/")
    user = volume.pool.get("chap_user")
    account = {"user": user, "password-secret": "key"} if user else {}
    return {"driver": "iscsi", "transport": "tcp", "portal": _portal(volume), "target": target, "lun": lun, **account}
