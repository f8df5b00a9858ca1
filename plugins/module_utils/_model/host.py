# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host, and what is added to what libvirt says. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def down(name: str, virt_type: str, reason: str) -> dict[str, Any]:
    """Return the record of a host that cannot be asked: the scheduler passes it over and says why."""
    counted = ("vcpus", "memory_mb", "disk_gb")
    numbers = (*counted, *(f"{one}_used" for one in counted), "disk_available_least", "num_instances", "num_io_ops")
    software = {"qemu_version": "", "libvirt_version": "", "machine_types": [], "image_cache": [], "leftovers": []}
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


def with_traces(record: dict[str, Any], standing: set[str], traces: Iterable[str]) -> dict[str, Any]:
    """Return the host record, its instances with whether they are damaged, and with what is left of others.

    Args:
        standing: the ids of the ports that stand. An instance of ours with a port that does not is damaged.
        traces: the uuids of the instances of which there are files or ports. One that has no domain is a leftover of a
            run that was killed, or of a run that is at work on it now.
    """
    instances = [{**one, "damaged": not port_ids(one) <= standing} for one in record["instances"]]
    leftovers = sorted(set(traces) - {one["uuid"] for one in instances})
    return {**record, "instances": instances, "extra": {**record["extra"], "leftovers": leftovers}}


def port_ids(instance: dict[str, Any]) -> set[str]:
    """Return the ids of the ports of an instance of ours; those of another are not known."""
    return {port["id"] for port in (instance.get("record") or {}).get("ports") or []}
