# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, what is claimed and what lies on the hosts, compared. Private to this collection.

Every finding is a dict: what (one word of KINDS), name, host, evidence (one sentence) and remedy (what to run).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Found = dict[str, str]


def audit(
    hosts: Iterable[Mapping[str, Any]],
    registry: Iterable[Mapping[str, Any]],
    ports: Mapping[str, Mapping[str, Any]],
    folders: Mapping[str, Iterable[str]],
) -> list[Found]:
    """Return all that does not fit together, in a fixed order.

    Args:
        hosts: the host records of all hosts; of one that is not up nothing but that is told.
        registry: the instances of the registry.
        ports: by host what module ports_info returned.
        folders: by host the names of the folders in its instances folder.
    """
    hosts, claims = list(hosts), {one["uuid"]: one for one in registry}
    ours = [{**one, "host": host["name"]} for host in hosts for one in host["instances"] if one.get("ours")]
    answered = {host["name"] for host in hosts if host.get("up", True)}
    found = [
        *silent(hosts),
        *twice(ours),
        *unclaimed(ours, claims),
        *without_domain(ours, claims, answered),
        *strays(ours, claims, ports, folders),
    ]
    return sorted(found, key=lambda one: (one["host"], one["what"], one["name"]))


def finding(what: str, name: str, host: str, evidence: str, remedy: str) -> Found:
    """Return one finding."""
    return {"what": what, "name": name, "host": host, "evidence": evidence, "remedy": remedy}


def silent(hosts: list[Mapping[str, Any]]) -> Iterator[Found]:
    """Yield the hosts that were not looked at."""
    for host in hosts:
        if not host.get("up", True):
            evidence = f"it was not looked at: {host.get('disabled_reason') or 'it is down'}"
            yield finding("host", host["name"], host["name"], evidence, "bring it back and run audit.yml again")


def twice(ours: list[dict[str, Any]]) -> Iterator[Found]:
    """Yield the instances that are defined on more than one host."""
    places: dict[str, list[str]] = {}
    for one in ours:
        places.setdefault(one["uuid"], []).append(one["host"])
    for one in ours:
        others = [host for host in places[one["uuid"]] if host != one["host"]]
        if others:
            evidence = f"{one['name']} ({one['uuid']}) is defined here, {one['state']}, and on {', '.join(others)}"
            yield finding("double", one["name"], one["host"], evidence, "undefine the one that is not to run, by hand")


def unclaimed(ours: list[dict[str, Any]], claims: Mapping[str, Mapping[str, Any]]) -> Iterator[Found]:
    """Yield the domains of ours that the registry does not know, or has on another host."""
    for one in ours:
        claim = claims.get(one["uuid"])
        if claim is None:
            evidence = f"domain {one['name']} is {one['state']}, and the registry has no claim for it"
            yield finding(
                "domain", one["name"], one["host"], evidence, "run boot.yml with it in the spec, or delete.yml"
            )
        elif claim["host"] != one["host"]:
            evidence = f"domain {one['name']} is {one['state']} here, and its claim is on {claim['host']}"
            yield finding("claim", one["name"], one["host"], evidence, "run boot.yml with it in the spec")


def without_domain(
    ours: list[dict[str, Any]], claims: Mapping[str, Mapping[str, Any]], answered: set[str]
) -> Iterator[Found]:
    """Yield the claims on hosts that answered for which there is no domain; one that is being built now is left out."""
    there = {one["uuid"] for one in ours}
    for uuid, claim in claims.items():
        building = claim.get("lease_until") and not claim.get("expired")
        if uuid in there or building or claim["host"] not in answered:
            continue
        evidence = f"the claim of {claim['name']} is {claim['state']} since {claim['updated_at']}, and no domain has it"
        yield finding("claim", claim["name"], claim["host"], evidence, "run boot.yml to build it, or delete.yml")


def strays(
    ours: list[dict[str, Any]],
    claims: Mapping[str, Mapping[str, Any]],
    ports: Mapping[str, Mapping[str, Any]],
    folders: Mapping[str, Iterable[str]],
) -> Iterator[Found]:
    """Yield the files, taps and rules that belong to no instance of their host."""
    building = {uuid for uuid, claim in claims.items() if claim.get("lease_until") and not claim.get("expired")}
    for host, names in folders.items():
        there = {one["uuid"] for one in ours if one["host"] == host} | building
        for name in sorted(set(names) - there):
            yield finding("folder", name, host, f"instances/{name} belongs to no domain", f"rm -r instances/{name}")
    for host, told in ports.items():
        here = [one for one in ours if one["host"] == host]
        yield from stray_ports(host, told, here, building)


def stray_ports(host: str, told: Mapping[str, Any], here: list[dict[str, Any]], building: set[str]) -> Iterator[Found]:
    """Yield the saved ports, taps and rules of one host that fit no instance."""
    known = {port["id"] for one in here for port in (one.get("record") or {}).get("ports") or []}
    for port in told["ports"]:
        if port["id"] not in known and port.get("uuid") not in building:
            evidence = f"port {port['id']} of {port.get('instance')} is saved, and no domain here has it"
            yield finding("port", port["id"], host, evidence, f"remove ports/{port['id']}.json and run boot.yml")
    for tap in told["stray"]["taps"]:
        yield finding("tap", tap, host, f"{tap} belongs to no saved port", f"ip link delete {tap}")
    for tap in told["stray"]["missing"]:
        yield finding("tap", tap, host, f"{tap} of a saved port is not there", "run boot.yml for its instance")
    if not told["rules_stand"]:
        evidence = "the rules of table bridge virtfleet are not those of the saved ports"
        yield finding("rules", "virtfleet", host, evidence, "run boot.yml for an instance of this host")


def audit_lines(found: Iterable[Found]) -> list[str]:
    """Return the findings as people read them."""
    return [f"{one['host']}: {one['evidence']}; {one['remedy']}" for one in found]
