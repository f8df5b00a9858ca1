# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host that nobody could ask. Private to this collection."""

from __future__ import annotations

from typing import Any


def down(name: str, virt_type: str, reason: str) -> dict[str, Any]:
    """Return the record of a host that cannot be asked: the scheduler passes it over and says why."""
    counted = ("vcpus", "memory_mb", "disk_gb")
    numbers = (*counted, *(f"{one}_used" for one in counted), "disk_available_least", "num_instances", "num_io_ops")
    software = {"qemu_version": "", "libvirt_version": "", "machine_types": [], "image_cache": []}
    return {
        "name": name,
        "up": False,
        "enabled": True,
        "disabled_reason": reason,
        **dict.fromkeys(numbers, 0),
        "hypervisor_type": "QEMU",
        "hypervisor_version": 0,
        "hypervisor_hostname": "",
        "cpu_info": {"arch": "", "model": "", "vendor": "", "topology": {}, "features": []},
        "supported_instances": [],
        "numa_topology": {"cells": []},
        "traits": [],
        "instances": [],
        "extra": {"virt_type": virt_type, **software},
    }
