# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claiming: names, addresses, quota and room on a host, in the transaction that is open. Private to this collection.

A claim goes claimed -> active. An active instance whose specification changes is `changing` until the hosts have done
it: it holds what it was and what it shall be, so that either end of the work is paid for. An instance that the
registry has stays on its host whatever the scheduler says, so that it can never run twice; until it is settled, the
run that claimed it may move it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._bulk import Outcome, each_by
from .._model.claim import Claim
from .._model.errors import ItemError
from . import addresses, capacity, groups, hosts, quotas, volumes
from .ledger import (
    ACTIVE,
    CHANGING,
    CLAIMED,
    PERFORMED,
    Held,
    Ledger,
    Terms,
    check_answers,
    check_owner,
    is_busy,
    kept,
    larger,
    read,
    read_rules,
    silent,
    told,
    write,
)

Record = Mapping[str, Any]


def claim(connection: Any, records: list[Record], gathered: list[Record], terms: Terms) -> list[Outcome]:
    """Every instance for which all rules hold has its claim; the others say why not.

    Args:
        connection: in a transaction, from connection.writing().
        records: instance records with `host`.
        gathered: host records of this run. One that is not up is as the registry remembers it; so are hosts left out,
            unless there is any at all: then an instance on a host that is not among them is left alone.
        terms: in whose name, and the quotas.
    """
    uuids = [one["uuid"] for one in records if one.get("uuid")]
    ledger = read(connection, uuids, (), terms)
    answered = [one for one in gathered if one.get("up") is not False]
    # A run that moves what a host failed has told of the hosts when it claimed, and has not looked at them since.
    if not any(one.get("tried") or one.get("waits") for one in records):
        hosts.remember(connection, answered, ledger.now)
    ledger.silent = silent(gathered)
    ledger.failed_builds = {one["name"]: int(one.get("failed_builds") or 0) for one in answered}
    ledger.gathered, ledger.seen = frozenset(one["name"] for one in answered), _seen(answered, set(uuids))
    names = {one.host for one in ledger.held.values()} | {name for one in records for name in _wished(one)}
    names |= {host for found in ledger.seen.values() for host in found}
    ledger.hosts = hosts.load(connection, names)
    read_rules(connection, ledger, [one for one in map(_readable, records) if one])
    outcomes = _claim_all(ledger, records)
    write(connection, ledger)
    return [_told(outcome, ledger, record) for outcome, record in zip(outcomes, records)]


def _claim_all(ledger: Ledger, records: list[Record]) -> list[Outcome]:
    """Claim one after the other, those first that give up a floating address which another may want."""

    def keeps(record: Record) -> bool:
        held = ledger.held.get(record.get("uuid") or "")
        return not held or addresses.floating(held.record) <= addresses.floating(record)

    return each_by(records, keeps, lambda one: _claim_one(ledger, dict(one)))


def _seen(gathered: list[Record], uuids: set[str]) -> dict[str, set[str]]:
    """Return on which hosts there is a domain of each of these instances."""
    found: dict[str, set[str]] = {}
    for record in gathered:
        for uuid in uuids.intersection(capacity.guests(record)):
            found.setdefault(uuid, set()).add(record["name"])
    return found


def _wished(record: Record) -> list[str]:
    """Return the hosts that the scheduler wants the instance on, the best first, without those that failed it."""
    failed = _tried(record)
    return [name for name in (record.get("host"), *(record.get("alternates") or ())) if name and name not in failed]


def _tried(record: Record) -> dict[str, str]:
    """Return the hosts that failed to build the instance in this run, each with the reason."""
    return {one["host"]: one.get("msg") or "no reason was given" for one in record.get("tried") or ()}


def _readable(record: Record) -> Claim | None:
    """Return the claim of a record; one that cannot be read says so when its turn comes."""
    try:
        return Claim.from_record(record)
    except ItemError:
        return None


def _told(outcome: Outcome, ledger: Ledger, record: Record) -> Outcome:
    """Return the outcome with the generation that its host has after this transaction; one refused is where it is."""
    held = ledger.held.get(record.get("uuid") or "")
    if outcome.error and held and not (held.state == CLAIMED and held.run == ledger.terms.run):
        owner = {"held_by": held.run} if is_busy(held, ledger) else {}
        return replace(outcome, facts={"host": held.host, **owner})
    host = ledger.hosts.get(outcome.facts.get("host", ""))
    facts = {**outcome.facts, "generation": host.generation} if host else outcome.facts
    waited = {"waits": []} if record.get("waits") and not facts.get("waits") else {}
    return replace(outcome, facts={**facts, **waited})


def _claim_one(ledger: Ledger, record: Record) -> Outcome:
    """Claim one instance: it is new, as it was, to be changed, or left by a run that is gone."""
    wanted = Claim.from_record(record)
    held = ledger.held.get(wanted.uuid)
    seen = ledger.seen.get(wanted.uuid, set())
    if held is None and seen:
        return _bound(ledger, wanted, None, min(seen))
    if held is None:
        _check_informed(ledger, wanted, record)
        return _on_the_first(ledger, wanted, None, record)
    check_owner(held, ledger)
    own = held.state == CLAIMED and held.run == ledger.terms.run
    if own and held.host in _tried(record):
        return _on_the_first(ledger, wanted, held, record)
    if seen and held.host not in seen:
        told = f"its domain is on {min(seen)} and the registry has it on {held.host}: move it back, or release it first"
        raise ItemError(told, fault="request")
    if ledger.gathered and held.host not in ledger.gathered:
        check_answers(held, {held.host: "it is not among the hosts of this run", **ledger.silent})
    if held.state == ACTIVE and held.spec_digest == wanted.spec_digest:
        if record.get("todo") in PERFORMED:
            ledger.note(held, record["todo"])
        return _unchanged(held, record)
    if _resumed(held, wanted, ledger):
        _gives_up(ledger, held)
        ledger.touched[held.uuid] = (held.state, ledger.lease_until)
        return _unchanged(held, record)
    if own:
        return _on_the_first(ledger, wanted, held, record)
    return _bound(ledger, wanted, held, held.host)


def _bound(ledger: Ledger, wanted: Claim, held: Held | None, host: str) -> Outcome:
    """Claim the instance on the one host it can be on; that another host would have room is no help."""
    try:
        return _place(ledger, replace(wanted, host=host), held)
    except ItemError as error:
        raise ItemError(str(error), fault="request")


def _on_the_first(ledger: Ledger, wanted: Claim, held: Held | None, record: Record) -> Outcome:
    """Claim the instance on its host, or on the first of its alternates that takes it by the numbers of now."""
    wished = _wished(record)
    refusals = [f"{host} failed it ({why})" for host, why in _tried(record).items() if host == wanted.host]
    for position, host in enumerate(wished, start=1):
        try:
            _check_answered(ledger, host)
            outcome = _place(ledger, replace(wanted, host=host), held)
        except ItemError as error:
            if error.fault != "host":
                raise
            refusals.append(str(error))
            continue
        if host == wanted.host:
            return outcome
        told = {"alternates": wished[position:], "reason": f"{refusals[0]}; its alternate {host} has room"}
        return replace(outcome, facts={**outcome.facts, **told})
    raise ItemError(refusals[0])


def _check_informed(ledger: Ledger, wanted: Claim, record: Record) -> None:
    """Raise ItemError if the host failed builds of which the scheduler did not know when it chose."""
    host = ledger.hosts.get(wanted.host)
    known = ledger.failed_builds.get(wanted.host)
    # One that was refused before was placed again on what the registry has.
    if host and known is not None and host.failed_builds > known and not record.get("refusals"):
        raise ItemError(f"{host.name} has failed {host.failed_builds} builds since the last good one: choose again")


def _check_answered(ledger: Ledger, host: str) -> None:
    """Raise ItemError if the host did not answer this run, or does no longer."""
    if host in ledger.silent:
        raise ItemError(f"{host} does not answer ({ledger.silent[host]}): choose another host")


def _resumed(held: Held, wanted: Claim, ledger: Ledger) -> bool:
    """Say whether this run has made this very claim already."""
    if held.run != ledger.terms.run:
        return False
    if held.state == CHANGING:
        return (held.pending or {}).get("spec_digest") == wanted.spec_digest
    return held.state == CLAIMED and held.spec_digest == wanted.spec_digest and held.host == wanted.host


def _gives_up(ledger: Ledger, held: Held) -> None:
    """The ledger knows which floating addresses are free as soon as the host has changed the instance."""
    if held.state == CHANGING:
        gone = addresses.floating(held.record) - addresses.floating(held.pending)
        ledger.leaving.update(dict.fromkeys(gone, held.uuid))


def _unchanged(held: Held, record: Record) -> Outcome:
    """Return the outcome of an instance that has its claim: where it is and which addresses it has."""
    known = held.pending or held.record
    given = {port["id"]: port.get("addresses") or [] for port in known.get("ports") or ()}
    ports = [{**port, "addresses": given.get(port["id"], [])} for port in record.get("ports") or ()]
    return Outcome(held.name, facts=_facts(held.host, held.state, held.created_at, ports))


def _facts(host: str, state: str, created_at: str, ports: list[Any]) -> dict[str, Any]:
    """Return what stage claim adds to an instance record; one that was active before is never undone."""
    existing = {"existing": True} if state in (ACTIVE, CHANGING) else {}
    return {"host": host, "claim_state": state, "created_at": created_at, "ports": ports, **existing}


def _place(ledger: Ledger, wanted: Claim, held: Held | None) -> Outcome:
    """Claim the instance on the host it wants if every rule allows it; nothing is kept of one that is refused."""
    settled = held is not None and held.state in (ACTIVE, CHANGING)
    amounts = larger(wanted.resources, held.resources) if settled else dict(wanted.resources)
    host = ledger.hosts.get(wanted.host)
    if host is None:
        raise ItemError(f"the registry has never seen host {wanted.host}: run stage host_info on it")
    _check_names(ledger, wanted)
    volumes.check(ledger.volumes, ledger.volume_owners, wanted.record, wanted.uuid, wanted.host)
    more = _growth(amounts, held)
    limits = ledger.terms.quotas.get(wanted.project) or {}
    quotas.check(wanted.project, limits, ledger.usage[wanted.project], more)
    ports = _addressed(ledger, wanted)
    awaited = addresses.check_floating(ports, ledger.books[addresses.FLOATING], ledger.leaving)
    _check_host(ledger, wanted, host, amounts)
    record = kept(
        {**wanted.record, "host": wanted.host, "ports": ports, "created_at": held.created_at if held else ledger.now}
    )
    claimed = _claimed(ledger, wanted, held, record, settled)
    if not awaited:
        _book(ledger, claimed, wanted, ports, amounts, more)
        ledger.note(claimed, _action(ledger, claimed, held))
    before = {"host": held.host, "claim_state": held.state, "spec_digest": held.spec_digest} if held else {}
    after = {
        "host": claimed.host,
        "claim_state": claimed.state,
        "spec_digest": wanted.spec_digest,
        "addresses": told(ports),
    }
    facts = _facts(claimed.host, claimed.state, claimed.created_at, ports)
    if awaited:
        facts = {**facts, "claim_state": held.state if held else "", "waits": sorted(awaited)}
    if held and held.run != ledger.terms.run and not settled:
        facts["adopted"] = True
    return Outcome(wanted.name, changed=True, before=before, after=after, facts=facts)


def _action(ledger: Ledger, claimed: Held, held: Held | None) -> str:
    """Return the word in the log for a claim that is made."""
    if held is None:
        return "claim"
    if held.state in (ACTIVE, CHANGING):
        return "change"
    if held.host != claimed.host:
        return "move"
    return "claim" if held.run == ledger.terms.run else "adopt"


def _check_names(ledger: Ledger, wanted: Claim) -> None:
    """Raise ItemError if the name, the domain's name or a MAC belongs to another instance."""
    if ledger.names.get((wanted.project, wanted.name), wanted.uuid) != wanted.uuid:
        other = ledger.names[(wanted.project, wanted.name)]
        raise ItemError(
            f"project {wanted.project} has another {wanted.name}, uuid {other}: choose another name", "request"
        )
    if ledger.domains.get((wanted.host, wanted.domain), wanted.uuid) != wanted.uuid:
        other = ledger.domains[(wanted.host, wanted.domain)]
        raise ItemError(
            f"domain name {wanted.domain} on {wanted.host} belongs to instance {other}: choose another host or name"
        )
    if ledger.hosts[wanted.host].stranger(wanted.domain, wanted.uuid):
        raise ItemError(f"{wanted.host} has a domain {wanted.domain} that is not ours: choose another host or name")
    macs: dict[str, str] = {}
    for port in wanted.ports:
        if ledger.macs.get(port.mac, port.id) != port.id or macs.setdefault(port.mac, port.id) != port.id:
            other = ledger.macs.get(port.mac, macs.get(port.mac))
            raise ItemError(f"MAC {port.mac} belongs to port {other}: choose another", fault="request")
        if ledger.ports.get(port.id, wanted.uuid) != wanted.uuid:
            raise ItemError(
                f"port {port.id} belongs to instance {ledger.ports[port.id]}: choose another name", fault="request"
            )


def _growth(amounts: Mapping[str, int], held: Held | None) -> dict[str, int]:
    """Return how much more the instance counts for than it does now."""
    new, old = quotas.demand(amounts), quotas.demand(held.resources) if held else quotas.NOTHING
    return {name: new[name] - old[name] for name in new}


def _addressed(ledger: Ledger, wanted: Claim) -> list[dict[str, Any]]:
    """Return the instance's ports with their addresses."""
    about: dict[Any, set[str]] = {}
    ports = []
    for port, record in zip(wanted.ports, wanted.record.get("ports") or ()):
        key = (port.scope, port.network)
        chosen = addresses.choose(port, ledger.books[key], about.setdefault(key, set()))
        about[key].update(one["address"] for one in chosen)
        ports.append({**record, "addresses": chosen})
    return ports


def _check_host(ledger: Ledger, wanted: Claim, host: hosts.Host, amounts: Mapping[str, int]) -> None:
    """Raise ItemError if the host may not, or cannot, take the instance; another host might."""
    if wanted.group:
        members = ledger.groups[(wanted.project, wanted.group.name)]
        if wanted.uuid in members:
            members = {uuid: at for uuid, at in members.items() if uuid != wanted.uuid}
        groups.check(wanted.group, members, host.name)
    host.check(wanted.uuid, amounts)


def _claimed(ledger: Ledger, wanted: Claim, held: Held | None, record: dict[str, Any], settled: bool) -> Held:
    """Return the instance as the registry is to have it."""
    claimed = Held(
        uuid=wanted.uuid,
        project=wanted.project,
        name=wanted.name,
        domain=wanted.domain,
        host=wanted.host,
        state=CLAIMED,
        record=record,
        pending=None,
        spec_digest=wanted.spec_digest,
        run=ledger.terms.run,
        lease_until=ledger.lease_until,
        created_at=record["created_at"],
        updated_at=ledger.now,
    )
    if not settled:
        return claimed
    return replace(
        claimed, state=CHANGING, domain=held.domain, record=held.record, pending=record, spec_digest=held.spec_digest
    )


def _book(
    ledger: Ledger, claimed: Held, wanted: Claim, ports: list[Any], amounts: Mapping[str, int], more: Mapping[str, int]
) -> None:
    """The ledger counts the claim, for those that come after it."""
    uuid = claimed.uuid
    ledger.rewritten[uuid] = claimed
    _gives_up(ledger, claimed)
    before = ledger.hosts.get(ledger.held[uuid].host) if uuid in ledger.held else None
    if before:
        before.release(uuid)
    if before and before.name != claimed.host:
        # Only a run that failed to build the instance there moves its claim.
        before.forget(uuid)
        before.failed_builds += 1
    ledger.hosts[claimed.host].take(uuid, amounts)
    ledger.names[(claimed.project, claimed.name)] = uuid
    ledger.domains[(claimed.host, claimed.domain)] = uuid
    usage = ledger.usage[claimed.project]
    ledger.usage[claimed.project] = {name: usage[name] + more[name] for name in usage}
    ledger.volume_owners[uuid] = claimed.name
    for one in volumes.alone(wanted.record):
        home = volumes.home(one, claimed.host)
        ledger.volumes[one["id"]] = volumes.Place(one["id"], claimed.project, one["name"], home, uuid)
    if wanted.group:
        ledger.groups[(wanted.project, wanted.group.name)][uuid] = claimed.host
    for port, record in zip(wanted.ports, ports):
        ledger.macs[port.mac] = port.id
        ledger.ports[port.id] = uuid
        for one in record["addresses"]:
            ledger.books[(port.scope, port.network)].give(one["address"], port.id, wanted.label)
        if record.get("floating_ip"):
            ledger.books[addresses.FLOATING].give(record["floating_ip"], port.id, wanted.label)
