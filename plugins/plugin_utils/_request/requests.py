# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From instance records to what the next stages ask: the scheduler's requests, and each guest's secrets.

Private to this collection.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from ...module_utils._model import naming

Record = dict[str, Any]

FLAVOR_KEYS = ("vcpus", "memory_mb", "disk_gb", "ephemeral_gb", "swap_mb", "extra_specs")
SCHEDULING_KEYS = ("hints", "requested_host", "force_hosts", "spread")
# What an instance that is there keeps from run to run.
KEPT_KEYS = ("host", "created_at", "power_state", "domain_id", "vnc")


def flat(found: Mapping[str, Any]) -> Record:
    """Return what a host told about an instance as one record: some tell the record and what is beside it apart."""
    beside = {key: value for key, value in found.items() if key != "record"}
    return {**(found.get("record") or {}), **beside}


def known(records: Iterable[Record], existing: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Return the records, those of instances that are there with their host, age and addresses."""
    there = {one["uuid"]: one for one in map(flat, existing) if one.get("uuid")}
    return [kept(record, there[record["uuid"]]) if record["uuid"] in there else record for record in records]


def kept(record: Record, found: Record) -> Record:
    """Return the record with what the instance has already; an absent one takes over all that its undo needs."""
    if record["state"] == "absent":
        return {**found, "state": "absent", "name": record["name"], "project": record["project"]}
    addresses = {port["id"]: port.get("addresses") or [] for port in found.get("ports") or []}
    ports = [{**port, "addresses": addresses.get(port["id"], port["addresses"])} for port in record["ports"]]
    return {**record, "ports": ports, **{key: found[key] for key in KEPT_KEYS if found.get(key) is not None}}


def scheduler_requests(
    records: Iterable[Record], existing: Iterable[Mapping[str, Any]] = (), hosts: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return one request for each entry of virtfleet_instances of which an instance is still to be placed.

    An instance that a host told about, that has a host or that has failed is not asked for. One with a volume that a
    host has in its own directory goes to that host.
    """
    homes = {one: host["name"] for host in hosts for one in (host.get("extra") or {}).get("volumes") or []}
    there = {one["uuid"]: one for one in map(flat, existing) if one.get("uuid")}
    asked: dict[tuple[str, str], list[Record]] = {}
    met: dict[tuple[str, str], int] = {}
    for record in records:
        if record["state"] == "absent" or record.get("failed"):
            continue
        key = (record["project"], record["scheduling"]["entry"])
        if record["uuid"] in there or record.get("host"):
            met[key] = met.get(key, 0) + 1
        else:
            asked.setdefault(key, []).append(record)
    return [at_home(one_request(group, met.get(key, 0), there), group[0], homes) for key, group in asked.items()]


def at_home(request: dict[str, Any], record: Record, homes: Mapping[str, str]) -> dict[str, Any]:
    """Return the request with the host that has the instance's volumes, where the user names none."""
    found = [homes[one["id"]] for one in record["volumes"] if one.get("id") in homes]
    return {**request, "requested_host": found[0]} if found and not request["requested_host"] else request


def one_request(group: list[Record], met: int, there: Mapping[str, Record]) -> dict[str, Any]:
    """Return the request for the instances of one entry; `met` of the entry are there already."""
    first = group[0]
    scheduling, needed = first["scheduling"], bridges(first)
    return {
        "name": scheduling["entry"],
        **{key: first["flavor"][key] for key in FLAVOR_KEYS},
        "flavor_name": first["flavor"]["name"],
        "num_instances": len(group),
        "instance_names": [one["name"] for one in group],
        "instance_uuids": [one["uuid"] for one in group],
        "min_count": max(0, (scheduling.get("min_count") or 0) - met),
        "project_id": first["project"],
        "image_id": first["image"]["name"],
        "image_disk_format": first["image"]["disk_format"],
        "image_properties": first["image"]["properties"],
        "server_group": with_members(first, there),
        "availability_zone": first["availability_zone"],
        "ignore_hosts": sorted({host for one in group for host in one["scheduling"].get("ignore_hosts") or ()}),
        **{key: scheduling.get(key) for key in SCHEDULING_KEYS},
        **({"boot_from_volume": True} if boots_from_volume(first) else {}),
        **({"bridges": needed} if needed else {}),
    }


def bridges(record: Record) -> list[dict[str, Any]]:
    """Return the bridges that the host must have for the instance's networks: those that no run makes."""
    found = [
        {"name": port["bridge"], "network": port["network"], "mtu": port["mtu"]}
        for port in record["ports"]
        if port["type"] == "bridge" and not (port.get("create") or port.get("physical"))
    ]
    return [one for place, one in enumerate(found) if one not in found[:place]]


def boots_from_volume(record: Record) -> bool:
    """Say whether the root disk has a life of its own and is no part of what the host promises, as in Nova."""
    return any(one.get("id") and one.get("boot_index") == 0 for one in record.get("volumes") or ())


def with_members(record: Record, there: Mapping[str, Record]) -> dict[str, Any] | None:
    """Return the record's server group with the uuids of its members that are there; a group belongs to one project."""
    group = record["server_group"]
    if not group:
        return None
    members = sorted(
        uuid
        for uuid, one in there.items()
        if one.get("project") == record["project"] and (one.get("server_group") or {}).get("name") == group["name"]
    )
    return {"name": group["name"], "policy": group["policy"], "members": members, "rules": group.get("rules") or {}}


def secrets_of(records: Iterable[Record], instances: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return by uuid what only the guest may read: user_data, admin_pass and files; those with none are left out."""
    written = {
        naming.instance_uuid(entry.get("project") or naming.DEFAULT_PROJECT, name): entry
        for entry in instances
        for name in naming.expand(entry["name"], entry.get("count") or 1)
    }
    told = {record["uuid"]: written.get(record["uuid"], {}) for record in records if record["state"] != "absent"}
    return {uuid: secrets for uuid, entry in told.items() if (secrets := entry_secrets(entry))}


def entry_secrets(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the secrets of an entry that has any, as module config_drives takes them: contents in base64."""
    secrets: dict[str, Any] = {key: entry[key] for key in ("admin_pass", "vendor_data") if entry.get(key)}
    if entry.get("user_data") or entry.get("user_data_base64"):
        secrets["user_data"] = in_base64(entry, "user_data")
    if entry.get("files"):
        secrets["files"] = {one["path"]: in_base64(one, "content") for one in entry["files"]}
    return secrets


def in_base64(entry: Mapping[str, Any], key: str) -> str:
    """Return in base64 what the user wrote as text or, with `_base64` behind the key, in base64."""
    if entry.get(key) is None:
        return "".join(entry[f"{key}_base64"].split())
    return base64_of(entry[key])


def base64_of(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()
