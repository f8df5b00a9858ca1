# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, what is claimed and what lies on the hosts, compared. Private to this collection.

A finding is as _findings.py says. What lies on a host comes as traces, whose kinds are one table of the host side
(module_utils/_traces.py): a trace says itself what it belongs to, and the registry whether that is gone.

A sweep takes away what is known to be left over. Of what belongs to an instance that is known only where the registry
has no claim for it and either logged that it is gone from this host, or is older than the trace: a registry that was
lost knows nothing of the guests of before, and their disks are never taken for strays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from ..module_utils._model.host import unpacked
from ._findings import Found, finding
from ._stores import volumes_of

SWEEP = "audit.yml -e gc=true"
TIME = "%Y-%m-%d %H:%M:%S"
OFF = ("shutdown", "crashed")
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Fleet:
    """All that is known: `ours` are the domains of ours, `claims` the registry's instances by uuid."""

    hosts: list[Record]
    ours: list[dict[str, Any]]
    claims: Mapping[str, Record]
    history: Mapping[str, Any] = field(default_factory=dict)
    grace: int = 3600
    volumes: frozenset[str] = frozenset()  # the ids of those that registry or catalogue know

    @cached_property
    def answered(self) -> set[str]:
        """Return the hosts that were looked at."""
        return {host["name"] for host in self.hosts if host.get("up", True)}

    @cached_property
    def building(self) -> set[str]:
        """Return the instances that a run is at work on."""
        return {uuid for uuid, one in self.claims.items() if one.get("lease_until") and not one.get("expired")}

    @cached_property
    def places(self) -> dict[str, list[str]]:
        """Return the hosts that each instance is defined on."""
        places: dict[str, list[str]] = {}
        for one in self.ours:
            places.setdefault(one["uuid"], []).append(one["host"])
        return places

    @cached_property
    def here(self) -> dict[str, set[str]]:
        """Return the instances that are defined on each host."""
        found: dict[str, set[str]] = {}
        for one in self.ours:
            found.setdefault(one["host"], set()).add(one["uuid"])
        return found

    def gone(self, uuid: str, host: str) -> int | None:
        """Return for how many seconds the registry knows that the instance is gone from the host; None: it does not."""
        return (self.history.get("gone") or {}).get(uuid, {}).get(host)

    def gone_everywhere(self, uuid: str) -> int | None:
        """Return for how many seconds the registry knows that the instance is gone from every host it was on."""
        return min(((self.history.get("gone") or {}).get(uuid) or {}).values(), default=None)


def audit(
    hosts: Iterable[Record],
    registry: Iterable[Record],
    traces: Mapping[str, Record],
    history: Record | None = None,
    keep: Mapping[str, Iterable[str]] | None = None,
    grace: int = 3600,
    volumes: Iterable[str] = (),
) -> list[Found]:
    """Return all that does not fit together, in a fixed order.

    Args:
        hosts: the host records of all hosts; of one that is not up nothing but that is told.
        registry: the instances of the registry.
        traces: by host what module traces_info returned.
        history: what the registry's log says of instances that are gone.
        keep: by kind of trace the names that the inventory wants though nothing uses them now.
        grace: how many seconds ago something must have been touched last for a sweep to take it.
        volumes: the ids of the volumes that the registry or the catalogue knows.
    """
    hosts = list(hosts)
    ours = [{**one, "host": host["name"]} for host in hosts for one in unpacked(host) if one.get("ours")]
    attached = frozenset(volumes).union(*map(volumes_of, ours))
    claims = {one["uuid"]: one for one in registry}
    fleet = Fleet(hosts, ours, claims, history or {}, grace, attached)
    found = [*silent(fleet), *twice(fleet), *unclaimed(fleet), *without_domain(fleet)]
    going: dict[str, set[str]] = {}
    for one in found:
        if one["what"] == "domain" and one["gc"]:
            going.setdefault(one["host"], set()).add(one["owner"])
    seen: set[str] = set()
    for host, told in traces.items():
        found += unread(host, told)
        listed = [one for one in told.get("traces") or () if one["kind"] not in SHARED or one["name"] not in seen]
        seen |= {one["name"] for one in listed if one["kind"] in SHARED}
        found += strays(fleet, host, {"traces": listed}, keep or {}, going.get(host, set()))
    return sorted(found, key=lambda one: (one["host"], one["what"], one["name"]))


def silent(fleet: Fleet) -> Iterator[Found]:
    """Yield the hosts that were not looked at."""
    for host in fleet.hosts:
        if not host.get("up", True):
            evidence = f"it was not looked at: {host.get('disabled_reason') or 'it is down'}"
            yield finding("host", host["name"], host["name"], evidence, "bring it back and run audit.yml again")


def unread(host: str, told: Record) -> Iterator[Found]:
    """Yield the kinds of traces that could not be looked at."""
    reasons = told.get("unread") or {} if "unread" in told else {"traces": told.get("msg") or "nobody knows why"}
    for kind, why in sorted(reasons.items()):
        yield finding(
            "unread", kind, host, f"{kind} could not be looked at: {why}", "mend that and run audit.yml again"
        )


def twice(fleet: Fleet) -> Iterator[Found]:
    """Yield the instances that are defined on more than one host; no sweep decides which of them is to live."""
    for one in fleet.ours:
        others = [host for host in fleet.places[one["uuid"]] if host != one["host"]]
        if others:
            claim = fleet.claims.get(one["uuid"])
            held = f", and its claim is on {claim['host']}" if claim else ", and it has no claim"
            evidence = f"{one['name']} ({one['uuid']}) is {one['state']} here and defined on {', '.join(others)}{held}"
            remedy = f"if this one is not to live: virsh destroy {one['uuid']}; virsh undefine {one['uuid']}"
            yield finding("double", one["name"], one["host"], evidence, remedy, age_of(fleet, one))


def age_of(fleet: Fleet, one: Record) -> int | None:
    """Return how old an instance is, by its own record."""
    try:
        born = datetime.strptime(str((one.get("record") or {}).get("created_at")), TIME)
        return max(0, int((datetime.strptime(str(fleet.history.get("now")), TIME) - born).total_seconds()))
    except ValueError:
        return None


def unclaimed(fleet: Fleet) -> Iterator[Found]:
    """Yield the domains of ours that the registry does not know, or has on another host."""
    for one in fleet.ours:
        claim = fleet.claims.get(one["uuid"])
        label = name_of(one)
        if claim is None:
            gone = fleet.gone(one["uuid"], one["host"])
            known = f" and released it {gone} s ago" if gone is not None else ""
            evidence = f"domain {one['name']} is {one['state']}, and the registry has no claim for it{known}"
            remedy = f"rebuild.yml -e rebuild_merge=true claims it; delete.yml -e names={label} takes it away"
            alone = len(fleet.places[one["uuid"]]) == 1 and one["state"] in OFF
            gc = gone is not None and alone and gone >= fleet.grace
            age = age_of(fleet, one) if gone is None else gone
            yield finding("domain", one["name"], one["host"], evidence, remedy, age, gc, owner=one["uuid"])
        elif claim["host"] != one["host"] and len(fleet.places[one["uuid"]]) == 1:
            evidence = f"domain {one['name']} is {one['state']} here, and its claim is on {claim['host']}"
            remedy = "rebuild.yml -e rebuild_merge=true moves the claim to where the domain is"
            yield finding("claim", one["name"], one["host"], evidence, remedy, claim.get("idle"))


def name_of(one: Record) -> str:
    """Return the name of an instance as delete.yml takes it."""
    project = (one.get("record") or {}).get("project") or one.get("project") or "default"
    return one["name"] if project == "default" else f"{project}/{one['name']}"


# What one host has of instances wherever they live.
EVERYWHERE = ("logical_port", "pool_image")
# What several hosts see, and other fleets may have too: it is told once, and swept only if it is known to be ours.
SHARED = ("pool_image",)
# By how many seconds two clocks and two roundings may differ.
SKEW = 5


def without_domain(fleet: Fleet) -> Iterator[Found]:
    """Yield the claims on hosts that answered for which there is no domain; one that is being built now is left out."""
    for uuid, claim in fleet.claims.items():
        if uuid in fleet.places or uuid in fleet.building or claim["host"] not in fleet.answered:
            continue
        evidence = f"the claim of {claim['name']} is {claim['state']} since {claim['updated_at']}, and no domain has it"
        remedy = f"boot.yml builds it, delete.yml -e names={name_of(claim)} releases it"
        gc = claim["state"] == "claimed" and (claim.get("idle") or 0) >= fleet.grace
        yield finding("claim", claim["name"], claim["host"], evidence, remedy, claim.get("idle"), gc, owner=uuid)


def strays(
    fleet: Fleet, host: str, told: Record, keep: Mapping[str, Iterable[str]], going: set[str]
) -> Iterator[Found]:
    """Yield the traces that belong to no instance of their host; `going` are the domains that a sweep takes away."""
    here = fleet.here.get(host, set()) - going
    for trace in told.get("traces") or ():
        owner, within = trace.get("owner") or "", trace.get("within") or ""
        at_work = {owner, within} & fleet.building
        if trace.get("volume") in fleet.volumes:
            continue
        if at_work or owner in here or trace["name"] in set(keep.get(trace["kind"]) or ()):
            continue
        claim = fleet.claims.get(owner)
        if trace["kind"] in EVERYWHERE and (claim or owner in fleet.places):
            continue
        if claim and claim["host"] == host and claim["state"] != "claimed":
            continue  # it is all that is left of an instance whose claim is a finding of its own
        yield stray(fleet, host, trace, claim)


def stray(fleet: Fleet, host: str, trace: Record, claim: Record | None) -> Found:
    """Return one stray trace as a finding."""
    why = whose(fleet, host, trace, claim)
    age = trace.get("age")
    gc = bool(trace.get("removable", True)) and not why[1] and (age is None or age >= fleet.grace)
    remedy = f"{SWEEP}, or {trace['remedy']}" if gc else trace["remedy"]
    evidence = f"{trace['evidence']}{why[0]}"
    kept = {"kept": why[1]} if why[1] else {}
    about = {"owner": trace.get("owner") or "", **kept}
    return finding(trace["kind"], trace["name"], host, evidence, remedy, age, gc, **about)


def whose(fleet: Fleet, host: str, trace: Record, claim: Record | None) -> tuple[str, str]:
    """Return what is known of the instance that a trace belongs to, and why a sweep must leave it, if it must."""
    owner = trace.get("owner")
    if trace.get("volume") and not trace.get("removable", True):
        return ", and neither the registry nor virtfleet_volumes knows it", "what is in it may be wanted"
    if not owner:
        return "", ""
    if trace["kind"] in SHARED:
        return everybodys(fleet, trace, owner)
    gone = fleet.gone(owner, host)
    if claim and claim["host"] == host:
        return f", of {claim['name']}, whose claim nobody settled", ""
    words = f", of {claim['name']}, which lives on {claim['host']}" if claim else ", of an instance without a claim"
    if gone is not None:
        return f"{words}; the registry logged that it is gone from here", ""
    if claim:
        return words, "the registry has not logged that it left this host"
    if trace.get("old") is None or (fleet.history.get("age") or 0) < trace["old"]:
        return f"{words}; the registry is younger than this", "it may be all that is left of a guest of a lost registry"
    return f"{words}; the registry never had it", ""


def everybodys(fleet: Fleet, trace: Record, owner: str) -> tuple[str, str]:
    """Return the same of what other fleets might have made: it is left of ours only where the registry logged the end.

    What was made after that is somebody else's, who has an instance of the same name.
    """
    gone, words = fleet.gone_everywhere(owner), ", of an instance without a claim"
    if gone is None:
        return f"{words}; the registry has not logged that it is gone", "another fleet may have it"
    if trace.get("old") is None or trace["old"] < gone + SKEW:
        return f"{words}; it was not made before the registry logged that it is gone", "another fleet may have it"
    return f"{words}; the registry logged that it is gone", ""
