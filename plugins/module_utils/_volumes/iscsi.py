# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A LUN of an iSCSI target. QEMU is the initiator: the host needs no session and no device."""

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

PORT = 3260


def place(name: str, identity: str, directory: str, pool: dict[str, Any]) -> str:
    """Return target/LUN, as libvirt names the disk."""
    _server, target, lun = served.given(name, pool, "server", "target", "location")
    return f"{target}/{lun}"


def opened(volume: Volume, path: str) -> str:
    """Return how qemu-img opens the volume."""
    host, port = host_and_port(volume.pool["server"], PORT)
    target, _slash, lun = path.rpartition("/")
    portal = served.escaped(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    user = volume.pool.get("chap_user")
    account = f",file.user={served.escaped(user)},file.password-secret=key" if user else ""
    disk = f"file.portal={portal},file.target={served.escaped(target)},file.lun={lun}"
    return f"driver=raw,file.driver=iscsi,file.transport=tcp,{disk}{account}"


def remembered(volume: Volume) -> Volume:
    """Return the volume as its server has it; one that wants a password is taken as it should be: QEMU opens it."""
    return volume if volume.pool.get("chap_user") else served.found(volume, opened(volume, volume.path))
