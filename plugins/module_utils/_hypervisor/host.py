# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has, can do and has promised, in the form the scheduler reads. Private to this collection.

A promise is what a defined domain may use, running or not, ours or not (Nova's resource tracker counts the same way).
"""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass
from typing import Any

from .._files import is_uuid
from .._model.errors import ItemError
from .._model.traits import traits
from .._xml import capabilities as xml
from .connection import failing_to, libvirt
from .promises import Promise, promises

GIB = 1 << 30
LOGICAL = "*-*-*-*-*"  # what a volume is called in the directory of its volume group


@dataclass(frozen=True)
class Space:
    """The file system of the instances, in bytes."""

    total: int
    free: int


def nearest(path: str) -> str:
    """Return the path or, as long as it does not exist, what will hold it."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def space(state_dir: str) -> Space:
    """Return the size of the file system that holds the instances."""
    told = os.statvfs(nearest(state_dir))
    return Space(told.f_frsize * told.f_blocks, told.f_frsize * told.f_bavail)


def cache_mode(wanted: str, state_dir: str) -> str:
    """Return the cache mode of disks: V(auto) is none where direct I/O works, else writeback, as in Nova."""
    if wanted != "auto":
        return wanted
    try:
        os.close(os.open(nearest(state_dir), os.O_TMPFILE | os.O_DIRECT | os.O_RDWR, 0o600))
    except OSError:
        return "writeback"
    return "none"


def cached_images(state_dir: str) -> list[str]:
    """Return the files of the image cache, images and their records; what is still being fetched is left out."""
    try:
        with os.scandir(os.path.join(state_dir, "images")) as files:
            return sorted(one.name for one in files if is_image(one))
    except OSError:
        return []


def kept_volumes(state_dir: str, devices: str = "/dev") -> list[str]:
    """Return the ids of the volumes that outlive their guests and that only this host has, files and logical ones."""
    try:
        names = os.listdir(os.path.join(state_dir, "volumes"))
    except OSError:
        names = []
    records = {name[: -len(".json")] for name in names if name.endswith(".json")}
    logical = {os.path.basename(path) for path in glob.glob(os.path.join(devices, "*", LOGICAL))}
    return sorted(records | {name for name in logical if is_uuid(name)})


def bridges(links: str = "/sys/class/net") -> dict[str, int]:
    """Return the MTU of each bridge of the kernel, by name."""
    found = {}
    for path in sorted(glob.glob(os.path.join(links, "*", "bridge"))):
        link = os.path.dirname(path)
        try:
            with open(os.path.join(link, "mtu")) as mtu:
                found[os.path.basename(link)] = int(mtu.read())
        except OSError:  # it went meanwhile
            continue
    return found


def is_image(entry: Any) -> bool:
    """Say whether an entry of the cache is a finished image or its record."""
    unfinished = entry.name.startswith(".") or entry.name.endswith((".part", ".part.json", ".plain", ".new", ".lock"))
    return not unfinished and stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)


def guest_capabilities(connection: Any, virt_type: str, host: xml.Capabilities) -> xml.GuestCapabilities:
    """Return what guests of this type get; a driver that cannot tell (test:///) leaves it empty."""
    try:
        return xml.guest_capabilities(connection.getDomainCapabilities(None, host.arch, None, virt_type, 0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return xml.GuestCapabilities()
        raise ItemError(f"this host runs no {virt_type} guests: {error.get_error_message()}")


def cpu_features(connection: Any, virt_type: str, host: xml.Capabilities, guest: xml.GuestCapabilities) -> list[str]:
    """Return every feature of the CPU that guests get, those of its model included."""
    expand = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    try:
        if guest.cpu_xml:
            args = (None, host.arch, guest.machine, virt_type, [guest.cpu_xml], expand)
            expanded = xml.cpu_features(connection.baselineHypervisorCPU(*args))
            return [one for one in expanded if one not in guest.disabled]
        return list(xml.cpu_features(connection.baselineCPU([host.cpu_xml], expand)))
    except libvirt.libvirtError:
        return list(host.features)


def versions(connection: Any) -> tuple[int, dict[str, str]]:
    """Return the version of the hypervisor as Nova's number, and the versions of the software as text."""
    with failing_to("read the versions"):
        number, library = connection.getVersion(), connection.getLibVersion()
    text = [".".join(str(one // 10**power % 1000) for power in (6, 3, 0)) for one in (number, library)]
    return number, {"qemu_version": text[0], "libvirt_version": text[1]}


def memory_mb(connection: Any) -> int:
    """Return the memory of the host in MiB, as the kernel has it: NUMA cells may not tell of hot-plugged memory."""
    with failing_to("read the size of the host"):
        by_cells = connection.getInfo()[1]
        try:
            total = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS).get("total", 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise
            total = 0
    return total // 1024 or by_cells


def totals(connection: Any, found: list[Promise], disk: Space) -> dict[str, Any]:
    """Return what the host has and what of it is promised."""
    with failing_to("read the size of the host"):
        cpus = connection.getInfo()[2]
    held_back = sum(max(0, one.disk_gb * GIB - one.allocated) for one in found)
    return {
        "vcpus": cpus,
        "vcpus_used": sum(one.vcpus for one in found),
        "memory_mb": memory_mb(connection),
        "memory_mb_used": sum(one.memory_mb for one in found),
        "disk_gb": disk.total // GIB,
        "disk_gb_used": sum(one.disk_gb for one in found),
        "disk_available_least": (disk.free - held_back) // GIB,
        "num_instances": len(found),
        "num_io_ops": 0,
    }


def record(connection: Any, name: str, virt_type: str, state_dir: str) -> dict[str, Any]:
    """Return the host record, up and enabled; what the scheduler has no field for is in `extra`."""
    with failing_to("read the capabilities"):
        host = xml.capabilities(connection.getCapabilities())
        hostname = connection.getHostname()
    guest = guest_capabilities(connection, virt_type, host)
    found = promises(connection)
    features = cpu_features(connection, virt_type, host, guest)
    cpu = {key: getattr(host, key) for key in ("arch", "model", "vendor", "topology")}
    number, software = versions(connection)
    return {
        "name": name,
        "up": True,
        "enabled": True,
        "disabled_reason": "",
        **totals(connection, found, space(state_dir)),
        "hypervisor_type": "QEMU",
        "hypervisor_version": number,
        "hypervisor_hostname": hostname,
        "cpu_info": {**cpu, "features": features},
        "supported_instances": [list(one) for one in host.supported],
        "numa_topology": {"cells": list(host.cells)},
        "traits": traits(host.arch, features, guest.buses, guest.screens),
        "instances": [one.as_dict() for one in found],
        "extra": {
            "virt_type": virt_type,
            **software,
            "machine_types": list(host.machines),
            "image_cache": cached_images(state_dir),
            "volumes": kept_volumes(state_dir),
            "bridges": bridges(),
        },
    }
