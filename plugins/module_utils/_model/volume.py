# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of a guest. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .record import known

# Remembered of every disk; of the other fields only what says something.
EVERYWHERE = ("rbd", "nbd", "iscsi")  # backends whose volumes every host sees
SERVED = ("nbd", "iscsi")  # those whose volumes a storage server makes and extends
ALWAYS = ("name", "backend", "size_gb", "boot_index", "path", "format", "base")


@dataclass(frozen=True)
class Volume:
    """One disk; `path` and `format` are empty until stage volume has built it, `base` is the image it grows from.

    A swap disk is counted in MiB; `guest_format` is what a blank disk holds for its guest: ext4, vfat or swap. A volume
    with a life of its own has an `id`, which is its serial number; `pool` says where its backend keeps it: directory
    and shared; pool, user and conf of a Ceph cluster; or server, location, target and chap_user of a storage server.
    `hosts` are the monitors of the cluster, as [name, port]. An encrypted one (`encryption` is luks) is opened by the
    passphrase of its own name, or else of the name in `key`.
    """

    name: str
    backend: str
    size_gb: int = 0
    boot_index: int | None = None
    path: str = ""
    format: str = ""
    base: str = ""
    size_mb: int = 0
    guest_format: str = ""
    id: str = ""
    pool: dict[str, Any] = field(default_factory=dict)
    source_image: str = ""
    delete_on_termination: bool = False
    tag: str = ""
    device_type: str = ""
    disk_bus: str = ""
    cache: str = ""
    discard: str = ""
    qos: dict[str, Any] = field(default_factory=dict)
    hosts: list[Any] = field(default_factory=list)
    encryption: str = ""
    key: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any], where: str = "the volume") -> Volume:
        """Return the volume of a record."""
        return cls(**known(cls, record, where))

    def as_record(self) -> dict[str, Any]:
        """Return the record this volume can be rebuilt from."""
        unsaid = {one.name for one in fields(self) if not getattr(self, one.name)}
        return {key: value for key, value in asdict(self).items() if key in ALWAYS or key not in unsaid}


def unused(record: Mapping[str, Any]) -> set[str]:
    """Return the ids of the volumes that this run made for an instance which was never started with them.

    Nobody has written to them: the undo takes them away, and the instance may have them on another host.
    """
    if record.get("domain_id"):
        return set()
    return {one["id"] for one in record.get("volumes") or () if one.get("id") and one.get("made")}


def host_and_port(server: str, usual: int) -> tuple[str, int]:
    """Return the two halves of host:port, of which the second may be missing; IPv6 addresses are in brackets."""
    host, colon, port = server.rpartition(":")
    if not colon or "]" in port:
        return server.strip("[]"), usual
    return host.strip("[]"), int(port)
