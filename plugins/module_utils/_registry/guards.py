# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping every run away from an instance while what a dead one left of it is taken away. Private to this collection.

The uuid of an instance is claimed for nothing: no name, address or room. A run that wants to boot the instance finds
that claim, and waits. A sweep that is killed leaves it to expire, and the next boot adopts it on that very host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._bulk import Outcome, attempt
from .._model.errors import ItemError
from .ledger import ACTIVE, CLAIMED, Held, Ledger, Terms, check_owner, read, write

NOTHING = {"name": "-", "vcpus": 0, "memory_mb": 0, "disk_gb": 0}
Record = Mapping[str, Any]


def guard(connection: Any, records: Iterable[Record], terms: Terms) -> list[Outcome]:
    """No run works on these instances but this one, unless their claim says that they live elsewhere.

    Args:
        records: `name`, `uuid` and `host`, where what is to go is.
    """
    records = list(records)
    ledger = read(connection, [one["uuid"] for one in records], (), terms)
    outcomes = [attempt(dict(one), lambda item: _guard_one(ledger, item)) for one in records]
    write(connection, ledger)
    return outcomes


def _guard_one(ledger: Ledger, record: Record) -> Outcome:
    """Guard one instance."""
    held = ledger.held.get(record["uuid"])
    if held is None:
        ledger.rewritten[record["uuid"]] = _placeholder(ledger, record)
    elif held.state == ACTIVE and held.host != record["host"]:
        return Outcome(record["name"], facts={"guarded": False})
    elif held.state != CLAIMED:
        raise ItemError(f"the registry has it on {held.host}, {held.state}: nothing of it was removed", "request")
    else:
        check_owner(held, ledger)
        ledger.touched[held.uuid] = (CLAIMED, ledger.lease_until)
    return Outcome(record["name"], True, after={"guarded_until": ledger.lease_until}, facts={"guarded": True})


def _placeholder(ledger: Ledger, record: Record) -> Held:
    """Return a claim for nothing but the uuid."""
    about = {"name": record["uuid"], "uuid": record["uuid"], "host": record["host"], "flavor": NOTHING}
    return Held(
        uuid=record["uuid"],
        project="",
        name=record["uuid"],
        domain=f"gc-{record['uuid']}",
        host=record["host"],
        state=CLAIMED,
        record=about,
        pending=None,
        spec_digest="",
        run=ledger.terms.run,
        lease_until=ledger.lease_until,
        created_at=ledger.now,
        updated_at=ledger.now,
    )


def release(connection: Any, records: Iterable[Record], terms: Terms) -> list[Outcome]:
    """What this run guards is free again: nothing of it is claimed, and the log says that it was swept."""
    records = list(records)
    ledger = read(connection, [one["uuid"] for one in records], (), terms)
    outcomes = [_release_one(ledger, one) for one in records]
    write(connection, ledger)
    return outcomes


def _release_one(ledger: Ledger, record: Record) -> Outcome:
    """Release one guard; what another run holds stays."""
    held = ledger.held.get(record["uuid"])
    if held is None or held.run != ledger.terms.run or held.state != CLAIMED:
        return Outcome(record["name"])
    ledger.gone.add(held.uuid)
    if held.host in ledger.hosts:
        ledger.hosts[held.host].release(held.uuid)
    ledger.note(held, "sweep")
    return Outcome(record["name"], True, before={"host": held.host, "claim_state": held.state})
