# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host, what is added to what libvirt says, and how it is told. Private to this collection.

A host may have hundreds of guests, and what it tells of them passes through every stage on the controller. So the
role tells no more of a guest than a boot reads, and all guests as one text: Ansible handles a text as one value.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

# What libvirt says of a domain whose instance is as it is asked for.
POWER_OF_STATE = {"active": "running", "stopped": "shutdown"}
EVERY = "all"
MOST_BYTES = 1 << 28  # what a text may become; a host is not trusted with the controller's memory


class Look(NamedTuple):
    """What a host says of its ports.

    Attributes:
        standing: the ids of the ports that stand.
        owners: the uuids of the instances that ports are saved of.
        groups: the groups that rules of the ports name, each with the digest of the members that the host knows.
    """

    standing: set[str]
    owners: set[str]
    groups: dict[str, str]


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


def thinned(record: Mapping[str, Any], whole: Collection[str]) -> dict[str, Any]:
    """Return the host record, of each instance that is not among `whole` (uuids, or "all") only what a boot reads."""
    told = [one if EVERY in whole or one["uuid"] in whole else thin(one) for one in record["instances"]]
    return {**record, "instances": told}


def thin(instance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a boot reads of an instance that is there: the scheduler, the claim, and the table at the end."""
    record = instance.get("record")
    if not record:
        return dict(instance)
    ports = [{"id": one["id"], "addresses": one.get("addresses") or []} for one in record.get("ports") or []]
    kept = {"project": record.get("project"), "created_at": record.get("created_at"), "ports": ports}
    if record.get("server_group"):
        kept["server_group"] = {"name": record["server_group"]["name"]}
    if (record.get("image") or {}).get("properties"):
        kept["image"] = {"properties": record["image"]["properties"]}
    return {**instance, "record": kept}


def pack(instances: Iterable[Mapping[str, Any]]) -> str:
    """Return the instances of a host as one text: JSON, deflated, in base64."""
    text = json.dumps(list(instances), separators=(",", ":")).encode()
    # Most of it are digits of random numbers: what this strategy leaves alone there saves a tenth.
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    return base64.b64encode(deflate.compress(text) + deflate.flush()).decode()


def unpacked(record: Mapping[str, Any]) -> list[Any]:
    """Return the instances of a host record, whether they are one text or a list."""
    listed = record.get("instances") or []
    if not isinstance(listed, str):
        return list(listed)
    return json.loads(zlib.decompressobj().decompress(base64.b64decode(listed), MOST_BYTES))
