# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settling claims when the hosts have done their work, and releasing them. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .._bulk import Outcome, attempt
from .._model.errors import ItemError
from .._model.volume import unused
from .ledger import (
    ACTIVE,
    CHANGING,
    CLAIMED,
    Held,
    Ledger,
    Terms,
    check_answers,
    check_owner,
    read,
    silent,
    told,
    write,
)

Record = Mapping[str, Any]


def settle(connection: Any, records: list[Record], terms: Terms) -> list[Outcome]:
    """Every claim of this run is active; that of an instance that failed is released, or again what it was before."""
    ledger = read(connection, [one["uuid"] for one in records if one.get("uuid")], (), terms)
    outcomes = [attempt(dict(record), lambda one: _settle_one(ledger, one)) for record in records]
    write(connection, ledger)
    return outcomes


def renew(connection: Any, records: list[Record], terms: Terms) -> list[Outcome]:
    """The claims of this run on these instances last for another lease; one that it has lost says who has it."""
    ledger = read(connection, [one["uuid"] for one in records if one.get("uuid")], (), terms)
    outcomes = [attempt(dict(record), lambda one: _renew_one(ledger, one)) for record in records]
    write(connection, ledger)
    return outcomes


def release(connection: Any, records: list[Record], terms: Terms, gathered: Iterable[Record] = ()) -> list[Outcome]:
    """None of these instances holds anything any more; their names and addresses are free.

    One on a host that did not answer, as its record among `gathered` says, keeps what it has: it may run there.
    """
    ledger = read(connection, [one["uuid"] for one in records if one.get("uuid")], (), terms)
    ledger.silent = silent(gathered)
    outcomes = [attempt(dict(record), lambda one: _release_one(ledger, one)) for record in records]
    write(connection, ledger)
    return outcomes


def _settle_one(ledger: Ledger, record: Record) -> Outcome:
    """Settle one instance by what became of it on its host."""
    held = ledger.held.get(record.get("uuid", ""))
    if record.get("failed"):
        return _settle_failed(ledger, record, held)
    if held is None:
        raise ItemError("it has no claim in the registry: run again, which claims it anew", fault="request")
    if held.state == ACTIVE:
        return Outcome(held.name, facts={"claim_state": ACTIVE})
    _check_own(held, ledger)
    _activate(ledger, held, held.pending or held.record)
    ledger.note(held, "activate")
    host = ledger.hosts.get(held.host)
    if host and host.failed_builds:
        host.failed_builds, host.touched = 0, True
    return Outcome(
        held.name,
        True,
        before={"claim_state": held.state},
        after={"claim_state": ACTIVE},
        facts={"claim_state": ACTIVE},
    )


def _renew_one(ledger: Ledger, record: Record) -> Outcome:
    """Renew the lease of one claim; what is settled has none."""
    held = ledger.held.get(record.get("uuid", ""))
    if held is None:
        raise ItemError("it has no claim in the registry any more: run again, which claims it anew", fault="request")
    if held.state != ACTIVE:
        _check_own(held, ledger)
        ledger.touched[held.uuid] = (held.state, ledger.lease_until)
    return Outcome(held.name, facts={"claim_state": held.state})


def _check_own(held: Held, ledger: Ledger) -> None:
    """Raise ItemError if the claim is another run's."""
    if held.run != ledger.terms.run:
        raise ItemError(f"run {held.run} has taken its claim over: look there for what became of it", fault="request")


def _activate(ledger: Ledger, held: Held, record: Record) -> None:
    """The instance is active as this record says; what it held beside is free."""
    if held.state == CLAIMED:
        ledger.touched[held.uuid] = (ACTIVE, None)
        return
    active = replace(
        held,
        domain=record.get("domain") or held.domain,
        state=ACTIVE,
        record=record,
        pending=None,
        spec_digest=record["spec_digest"],
        run=ledger.terms.run,
        lease_until=None,
        updated_at=ledger.now,
    )
    ledger.rewritten[held.uuid] = active
    if held.host in ledger.hosts:
        ledger.hosts[held.host].take(held.uuid, active.resources)


def _settle_failed(ledger: Ledger, record: Record, held: Held | None) -> Outcome:
    """Release the claim of a failed instance, or put it back to what it was; its failure stays what it is.

    One whose undo failed (`undone: false`) keeps its claim, something of it may still be on the host; its lease ends.
    """
    failure = {"error": record.get("msg") or "it failed", "fault": record.get("fault") or "host"}
    own = held is not None and held.run == ledger.terms.run and held.state != ACTIVE
    host = ledger.hosts.get(held.host) if own else None
    tried = {one["host"] for one in record.get("tried") or ()}
    if host and held.state == CLAIMED and (failure["fault"] == "host" or held.host in tried):
        host.failed_builds, host.touched = host.failed_builds + 1, True
    if own and record.get("undone") is False:
        ledger.touched[held.uuid] = (held.state, None)  # this run is through with it: the next may take it over
    if not own or record.get("undone") is False:
        return Outcome(
            record["name"], facts={"claim_state": held.state if held else None, "released": False}, **failure
        )
    before = {"claim_state": held.state, "host": held.host}
    if held.state == CHANGING:
        _activate(ledger, held, held.record)
        ledger.note(held, "revert", failure["error"])
        facts = {"claim_state": ACTIVE, "released": False}
        return Outcome(held.name, True, before=before, after={**before, "claim_state": ACTIVE}, facts=facts, **failure)
    _free(ledger, held)
    ledger.unmade |= unused(record)
    ledger.note(held, "release", failure["error"])
    return Outcome(held.name, True, before=before, facts={"claim_state": None, "released": True}, **failure)


def _release_one(ledger: Ledger, record: Record) -> Outcome:
    """Release one instance, whatever its state; one that the registry does not know is released already."""
    if not record.get("uuid"):
        raise ItemError("the record has no 'uuid', which stage request fills in", fault="request")
    held = ledger.held.get(record["uuid"])
    if held is None:
        return Outcome(record["name"], facts={"claim_state": None})
    check_owner(held, ledger)
    check_answers(held, ledger.silent)
    _free(ledger, held)
    ledger.note(held, "delete")
    before = {"host": held.host, "claim_state": held.state, "addresses": told(list(held.record.get("ports") or ()))}
    return Outcome(record["name"], True, before=before, facts={"claim_state": None, "host": held.host})


def _free(ledger: Ledger, held: Held) -> None:
    """Nothing is held for the instance any more."""
    ledger.gone.add(held.uuid)
    if held.host in ledger.hosts:
        ledger.hosts[held.host].release(held.uuid)
        ledger.hosts[held.host].forget(held.uuid)
