# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promises of the collection as plain functions: each takes what the hosts have and returns what is broken.

`seen` is what Fleet.look() returned: by host its domains, files, ports, taps, tables and, on the first, the registry.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

Seen = Mapping[str, Mapping[str, Any]]
STRANGERS = ("stranger", "tapstranger")
KINDS = ("claim", "active claim", "folder", "disk", "drive", "saved port", "tap", "rules", "domain", "guest")
RESOURCES = {"VCPU": ("vcpus", "reserved_vcpus", "cpu_allocation_ratio")}
RESOURCES["MEMORY_MB"] = ("memory_mb", "reserved_memory_mb", "ram_allocation_ratio")
RESOURCES["DISK_GB"] = ("disk_gb", "reserved_disk_gb", "disk_allocation_ratio")


def broken(seen: Seen) -> list[str]:
    """Return all that is broken of what must hold at every moment."""
    return [*twice(seen), *over(seen), *given_twice(seen)]


def domains(seen: Seen) -> list[dict[str, Any]]:
    """Return all domains of ours, each with its host."""
    return [{**one, "host": host} for host, told in seen.items() for one in told["domains"] if one["ours"]]


def registry(seen: Seen) -> Mapping[str, list[dict[str, Any]]]:
    """Return the tables of the registry, which is on the first host; empty where that is off."""
    return seen.get("kvm1", {}).get("registry") or {}


def repeated(values: Iterable[Any]) -> list[Any]:
    """Return the values that are there more than once."""
    return sorted(value for value, times in Counter(values).items() if times > 1)


def twice(seen: Seen) -> list[str]:
    """Each instance is at most one domain in the fleet."""
    places: dict[str, list[str]] = {}
    for one in domains(seen):
        places.setdefault(f"{one['name']} ({one['uuid']})", []).append(one["host"])
    return [f"{name} is defined on {' and '.join(hosts)}" for name, hosts in places.items() if len(hosts) > 1]


def over(seen: Seen) -> list[str]:
    """No claims, and no domains, go over what a host may promise."""
    tables, found = registry(seen), []
    for host in tables.get("hosts", ()):
        record = host["record"] if isinstance(host["record"], dict) else json.loads(host["record"])
        for resource, (total, reserved, ratio) in RESOURCES.items():
            cap = (record[total] - record.get(reserved, 0)) * record.get(ratio, 1)
            held = [
                one for one in tables["allocations"] if (one["host"], one["resource_class"]) == (host["name"], resource)
            ]
            claimed = sum(one["amount"] for one in held)
            there = [one for one in seen.get(host["name"], {}).get("domains", ()) if not one["ours"]]
            promised = sum(one["vcpus"] for one in there) if resource == "VCPU" else 0
            if claimed + promised > cap:
                found.append(f"{host['name']} has promised {claimed + promised} of {cap:g} {resource}")
        vcpus = sum(one["vcpus"] for one in seen.get(host["name"], {}).get("domains", ()))
        cap = (record["vcpus"] - record.get("reserved_vcpus", 0)) * record.get("cpu_allocation_ratio", 1)
        if vcpus > cap:
            found.append(f"the domains of {host['name']} have {vcpus} of {cap:g} VCPU")
    return found


def given_twice(seen: Seen) -> list[str]:
    """No name, MAC or address is given twice, in the registry or on the hosts."""
    tables, ours = registry(seen), domains(seen)
    saved = [port for told in seen.values() for port in told["ports"]]
    lists = {
        "claim": [(one["project"], one["name"]) for one in tables.get("instances", ())],
        "claimed MAC": [one["mac"] for one in tables.get("ports", ())],
        "claimed address": [(one["network"], one["address"]) for one in tables.get("addresses", ())],
        "MAC of a domain": [mac for one in ours for mac in one["macs"]],
        "MAC of a port": [one["mac"] for one in saved],
        "address of a port": [(one["network"], one["fixed_ip"]) for one in saved if one.get("fixed_ip")],
    }
    return [f"{what} {value} is given twice" for what, values in lists.items() for value in repeated(values)]


def strangers(seen: Seen) -> dict[str, Any]:
    """Return by host all that is not ours, to be compared with what it was before."""
    return {
        host: {
            "domains": [one for one in told["domains"] if one["name"] == "stranger"],
            "files": {path: state for path, state in told["instances"].items() if path.startswith("stranger")},
            "taps": {name: index for name, index in told["taps"].items() if name in STRANGERS},
            "tables": {name: text for name, text in told["tables"].items() if name.endswith("stranger")},
        }
        for host, told in seen.items()
    }


def touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what of a stranger's things is not as it was."""
    return [
        f"{kind} of a stranger on {host} are not as they were"
        for host, things in after.items()
        for kind, now in things.items()
        if host in before and before[host][kind] != now
    ]


def standing(seen: Seen, name: str) -> dict[str, Any]:
    """Return by host what the instances that no fault is about are: domain, disk and tap."""
    told = {}
    for host, there in seen.items():
        for one in there["domains"]:
            if one["ours"] and one["name"].startswith(f"{name}-"):
                tap = naming.tap(naming.port_id(naming.DEFAULT_PROJECT, one["name"], 0))
                disk = there["instances"].get(f"{one['uuid']}/root.qcow2")
                told[host] = (one["name"], one["id"], one["digest"], disk and disk[0], there["taps"].get(tap))
    return told


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return which of the standing instances are not the very guests they were."""
    return [
        f"{one[0]} on {host} is not the guest it was" for host, one in before.items() if after.get(host, one) != one
    ]


def traces(seen: Seen, names: Iterable[str]) -> dict[str, list[str]]:
    """Return by name what there is of an instance, in the order in which it comes into being."""
    return {name: _kinds(seen, name) for name in names}


def _kinds(seen: Seen, name: str) -> list[str]:
    """Return the kinds of what there is of one instance."""
    uuid = naming.instance_uuid(naming.DEFAULT_PROJECT, name)
    port = naming.port_id(naming.DEFAULT_PROJECT, name, 0)
    tap = naming.tap(port)
    rules = [text for told in seen.values() for title, text in told["tables"].items() if not title.endswith("stranger")]
    claims = [one for one in registry(seen).get("instances", ()) if one["uuid"] == uuid]
    there = {
        "claim": any(one["state"] != "active" for one in claims),
        "active claim": any(one["state"] == "active" for one in claims),
        "folder": any(uuid in told["folders"] for told in seen.values()),
        "disk": any(f"{uuid}/root.qcow2" in told["instances"] for told in seen.values()),
        "drive": any(f"{uuid}/config.iso" in told["instances"] for told in seen.values()),
        "saved port": any(one["id"] == port for told in seen.values() for one in told["ports"]),
        "tap": any(tap in told["taps"] for told in seen.values()),
        "rules": any(tap in text for text in rules),
        "domain": any(one["uuid"] == uuid for one in domains(seen)),
        "guest": any(one["uuid"] == uuid and one["running"] for one in domains(seen)),
    }
    return [kind for kind, is_there in there.items() if is_there]


def left(seen: Seen, names: Iterable[str]) -> list[str]:
    """Nothing is left of these instances."""
    return [f"{name} has left: {', '.join(kinds)}" for name, kinds in traces(seen, names).items() if kinds]


def missing(seen: Seen, names: Iterable[str]) -> list[str]:
    """Each of these instances runs, with all it needs and an active claim on the very host."""
    whole = ["active claim", "folder", "disk", "drive", "saved port", "tap", "rules", "domain", "guest"]
    found = [
        f"{name} has {', '.join(kinds) or 'nothing'}" for name, kinds in traces(seen, names).items() if kinds != whole
    ]
    claims = {one["uuid"]: one["host"] for one in registry(seen).get("instances", ())}
    found += [
        f"{one['name']} runs on {one['host']} and is claimed on {claims.get(one['uuid'])}"
        for one in domains(seen)
        if claims.get(one["uuid"]) != one["host"]
    ]
    return found
