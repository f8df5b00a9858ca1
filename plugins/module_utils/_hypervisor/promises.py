# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each defined domain of a host may use. Private to this collection."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, fields
from typing import Any

from .._xml.size import memory_mb, vcpus
from .._xml.tree import OURS, parse
from .connection import failing_to, is_gone, libvirt, listed, power_states

GIB = 1 << 30
QCOW2_HEADER = ">4sIQIIQ"  # magic, version, backing file offset and size, cluster bits, virtual size


@dataclass(frozen=True)
class Promise:
    """A domain and what it may use; `record` is our instance record if it is ours, `allocated` its bytes on disk."""

    uuid: str
    name: str
    project_id: str
    ours: bool
    state: str
    spec_digest: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    record: dict[str, Any] | None = None
    allocated: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the promise as a part of the host record."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "allocated"}


def virtual_size(path: str, kind: str) -> int:
    """Return how large a disk file may become, in bytes: its length, or what its qcow2 header says. 0 if unreadable.

    Read from the file and not asked of libvirt, which for a running guest would take a call to its QEMU for each disk.
    """
    try:
        if kind != "qcow2":
            return os.stat(path).st_size
        with open(path, "rb") as file:
            header = file.read(struct.calcsize(QCOW2_HEADER))
        magic, *_rest, size = struct.unpack(QCOW2_HEADER, header)
        return size if magic == b"QFI\xfb" else 0
    except (OSError, struct.error):
        return 0


def _disks(root: Any) -> list[tuple[str, str]]:
    """Return (file, format) of each disk that a guest can fill."""
    found = []
    for disk in root.iterfind("devices/disk[@device='disk']"):
        source, driver = disk.find("source"), disk.find("driver")
        if source is not None and source.get("file") and disk.find("readonly") is None:
            found.append((source.get("file"), driver.get("type", "raw") if driver is not None else "raw"))
    return found


def allocated(path: str) -> int:
    """Return how many bytes a file takes so far."""
    try:
        return os.stat(path).st_blocks * 512
    except OSError:
        return 0


def remembered(root: Any) -> Any:
    """Return the instance that a domain of ours remembers; a host without one does not load what an instance is."""
    from .._xml import metadata

    return metadata.remembered(root)


def promise(text: str, state: str) -> Promise:
    """Return what a domain may use: ours by the flavor in its record, others by the size of their disk files."""
    root = parse(text)
    instance = remembered(root) if OURS in text else None
    files = _disks(root)
    size = 0 if instance else sum(virtual_size(*one) for one in files)
    return Promise(
        uuid=root.findtext("uuid"),
        name=instance.name if instance else root.findtext("name"),
        project_id=instance.project if instance else "",
        ours=instance is not None,
        state=state,
        spec_digest=instance.spec_digest if instance else "",
        vcpus=vcpus(root),
        memory_mb=memory_mb(root),
        disk_gb=instance.flavor.promised_disk_gb if instance else -(-size // GIB),
        record=instance.as_record() if instance else None,
        allocated=sum(allocated(path) for path, _kind in files),
    )


def promises(connection: Any) -> list[Promise]:
    """Return the promise of every domain of the host, by name; one that goes away meanwhile is left out."""
    domains = listed(connection)
    states = power_states(connection, domains)
    found = []
    for domain in domains:
        with failing_to(f"read domain {domain.name()}"):
            try:
                text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            except libvirt.libvirtError as error:
                if is_gone(error):
                    continue
                raise
        found.append(promise(text, states.get(domain.UUIDString(), "nostate")))
    return sorted(found, key=lambda one: (one.name, one.uuid))
