# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the registry again from what the hosts' domains remember. Private to this collection.

What runs is not judged: no cap, quota or group rule keeps a guest that exists from its claim. What two guests cannot
both have (uuid, name, MAC, address) is claimed once, and the other is told with its evidence. Nothing is ever released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._bulk import Outcome
from .._model.claim import Claim
from .._model.errors import ItemError
from .._model.naming import PART_KEYS
from . import addresses, hosts
from .ledger import ACTIVE, Held, Ledger, Terms, kept, read, told, write
from .sql import sa

if sa is not None:
    from .schema import ADDRESSES, INSTANCES, PORTS

RUNS = ("running", "paused", "suspended")
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A domain that remembers an instance: where it is and in which power state."""

    claim: Claim
    state: str

    @property
    def where(self) -> str:
        """Return the place in words."""
        return f"{self.claim.host} ({self.state})"

    @property
    def order(self) -> tuple[Any, ...]:
        """Return what sorts before another that wants the same thing: what runs, then what is older."""
        about = self.claim
        return (
            self.state not in RUNS,
            str(about.record.get("created_at") or ""),
            about.project,
            about.name,
            about.host,
        )


@dataclass
class Taken:
    """Whose each thing is that only one instance can have: thing, in words -> (uuid, label)."""

    things: dict[str, tuple[str, str]] = field(default_factory=dict)

    def check(self, claim: Claim) -> None:
        """Raise ItemError if another instance has something of this one."""
        for thing in belongings(claim):
            uuid, label = self.things.get(thing, (claim.uuid, ""))
            if uuid != claim.uuid:
                raise ItemError(
                    f"{thing} is also that of {label}, which keeps it: this one has no claim; boot.yml gives it what "
                    "is free or says what must be changed in the spec, delete.yml takes it away",
                    fault="request",
                )

    def take(self, claim: Claim) -> None:
        """All that the instance has is its own."""
        self.things.update(dict.fromkeys(belongings(claim), (claim.uuid, claim.label)))


def rebuild(
    connection: Any, found: list[Record], gathered: list[Record], terms: Terms, merge: bool = False
) -> list[Outcome]:
    """Every instance that a domain remembers has its claim on the host of that domain, and is active.

    Args:
        connection: in a transaction, from connection.writing().
        found: one dict for each domain of ours: `record`, `host` and `state`, its power state.
        gathered: the records of the hosts that answered.
        terms: in whose name.
        merge: whether a registry that has instances may be added to; else that is refused.

    An outcome with an error is what could not be decided.
    """
    ledger, taken = _registry(connection, terms, merge)
    hosts.remember(connection, gathered, ledger.now)
    ledger.hosts = hosts.load(connection)
    domains = [_found(one) for one in found]
    outcomes: dict[int, Outcome] = {}
    answered = {one["name"] for one in gathered}
    for places in _by_uuid(domains):
        for position, outcome in _restore(ledger, taken, answered, [(one, domains[one]) for one in places]):
            outcomes[position] = outcome
    write(connection, ledger)
    return [
        outcomes.get(position) or Outcome(_name(one), error=str(domains[position]), fault="request")
        for position, one in enumerate(found)
    ]


def _registry(connection: Any, terms: Terms, merge: bool) -> tuple[Ledger, Taken]:
    """Return what the registry has, all of it; one that is not empty is refused unless it may be added to."""
    uuids = [row.uuid for row in connection.execute(sa.select(INSTANCES.c.uuid))]
    if uuids and not merge:
        raise ItemError(
            f"the registry has {len(uuids)} instances and rebuild makes an empty one: nothing was changed. Add what "
            "it lacks with -e rebuild_merge=true, or move the registry away first if it is wrong",
            fault="request",
        )
    ledger = read(connection, uuids, (), terms)
    taken = Taken()
    for held in ledger.held.values():
        for record in (held.record, held.pending or {}):
            if record and held.spec_digest:  # a guard claims nothing but its uuid
                taken.take(Claim.from_record({**record, "uuid": held.uuid, "host": held.host}))
    labels = {uuid: f"{held.name} (project {held.project})" for uuid, held in ledger.held.items()}
    for port in connection.execute(sa.select(PORTS)):
        taken.things[f"MAC {port.mac}"] = taken.things[f"port {port.id}"] = (port.instance, labels[port.instance])
    for row in connection.execute(sa.select(ADDRESSES)):
        thing = _address(row.scope, row.network, row.address)
        taken.things[thing] = (row.instance, labels[row.instance])
    return ledger, taken


def belongings(claim: Claim) -> list[str]:
    """Return all that only one instance can have, in words."""
    things = [f"the name {claim.name} of project {claim.project}", f"the domain name {claim.domain} on {claim.host}"]
    for port, record in zip(claim.ports, claim.record.get("ports") or ()):
        things += [f"port {port.id}", f"MAC {port.mac}"]
        things += [_address(port.scope, port.network, one["address"]) for one in record.get("addresses") or ()]
        things += [_address(*addresses.FLOATING, record["floating_ip"])] if record.get("floating_ip") else []
    return things


def _address(scope: str, network: str, address: str) -> str:
    """Return an address with its network, in words."""
    return f"address {address} of network {network}" + (f" (project {scope})" if scope else "")


def _found(one: Record) -> Found | ItemError:
    """Return the instance that a domain remembers, or what its record lacks."""
    try:
        return Found(Claim.from_record({**one["record"], "host": one["host"]}), one["state"])
    except ItemError as error:
        return ItemError(f"its record on {one['host']} cannot be used: {error}", fault="request")


def _name(one: Record) -> str:
    """Return what an instance is called, whatever its record is like."""
    return str((one.get("record") or {}).get("name") or one.get("name") or "an instance")


def _by_uuid(domains: list[Any]) -> list[list[int]]:
    """Return the positions of the domains of each instance, what goes first first."""
    places: dict[str, list[int]] = {}
    readable = [position for position, one in enumerate(domains) if isinstance(one, Found)]
    for position in sorted(readable, key=lambda one: domains[one].order):
        places.setdefault(domains[position].claim.uuid, []).append(position)
    return list(places.values())


def _restore(
    ledger: Ledger, taken: Taken, answered: set[str], places: list[tuple[int, Found]]
) -> Iterable[tuple[int, Outcome]]:
    """Claim one instance, once; yield what became of each of its domains."""
    (first, chosen), *others = places
    held = ledger.held.get(chosen.claim.uuid)
    told_of = ", ".join(one.where for dummy, one in places)
    try:
        if held:
            outcome = _known(ledger, held, chosen, {one.claim.host for dummy, one in places}, answered)
        else:
            taken.check(chosen.claim)
            outcome = _claimed(ledger, chosen)
        taken.take(chosen.claim)
    except ItemError as error:
        outcome = Outcome(chosen.claim.name, error=str(error), fault=error.fault, facts={"host": chosen.claim.host})
    if others and not outcome.error and not _alone(places):
        why = (
            f"it is defined on {told_of}, and which of them is to live cannot be told: it is claimed once, on "
            f"{outcome.facts['host']}, so that nobody else gets its name and addresses"
        )
        outcome = replace(outcome, error=f"{why}; {_way_out(chosen, 'the other')}", fault="request")
    yield first, outcome
    for position, other in others:
        why = f"it is defined here too, {other.state}, beside {chosen.where}: it is not claimed here"
        facts = {"host": other.claim.host}
        yield (
            position,
            Outcome(other.claim.name, error=f"{why}; {_way_out(other, 'this one')}", fault="request", facts=facts),
        )


def _alone(places: list[tuple[int, Found]]) -> bool:
    """Say whether just one of the domains of an instance runs, which is the instance then."""
    return [one.state in RUNS for dummy, one in places].count(True) == 1


def _way_out(found: Found, which: str) -> str:
    """Return what to do about a domain that is there twice."""
    return f"undefine {which} if it is not to live (virsh undefine {found.claim.uuid}), and rebuild with rebuild_merge"


def _known(ledger: Ledger, held: Held, chosen: Found, places: set[str], answered: set[str]) -> Outcome:
    """Leave a claim that is there alone; one on a host that has no such domain follows the domain."""
    if held.host in places:
        return Outcome(held.name, facts={"host": held.host, "claim_state": held.state})
    where = f"its domain is on {chosen.where} and the registry has it on {held.host}"
    if held.host not in answered:
        raise ItemError(f"{where}, which did not answer: bring that host back and rebuild again", fault="request")
    if held.state != ACTIVE:
        raise ItemError(f"{where} as {held.state}, run {held.run}: wait for that run, or delete it", fault="request")
    if held.host in ledger.hosts:
        ledger.hosts[held.host].release(held.uuid)
    return _claimed(ledger, chosen, held)


def _as_claimed(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record as it was when it was claimed, before its host said where the disks are."""
    volumes = [{key: one[key] for key in PART_KEYS["volumes"] if key in one} for one in record.get("volumes") or ()]
    return {**record, **({"volumes": volumes} if "volumes" in record else {})}


def _claimed(ledger: Ledger, found: Found, held: Held | None = None) -> Outcome:
    """Book the instance as active where its domain is."""
    claim = found.claim
    created = str(claim.record.get("created_at") or "") or ledger.now
    record = kept(_as_claimed({**claim.record, "created_at": created}))
    active = Held(
        uuid=claim.uuid,
        project=claim.project,
        name=claim.name,
        domain=claim.domain,
        host=claim.host,
        state=ACTIVE,
        record=record,
        pending=None,
        spec_digest=claim.spec_digest,
        run=ledger.terms.run,
        lease_until=None,
        created_at=created,
        updated_at=ledger.now,
    )
    ledger.rewritten[claim.uuid] = active
    if claim.host in ledger.hosts:
        ledger.hosts[claim.host].take(claim.uuid, active.resources)
    ledger.note(active, "rebuild")
    before = {"host": held.host} if held else {}
    facts = {"host": claim.host, "claim_state": ACTIVE}
    after = {**facts, "addresses": told([{"addresses": (), **one} for one in record.get("ports") or ()])}
    return Outcome(claim.name, True, before=before, after=after, facts=facts)
