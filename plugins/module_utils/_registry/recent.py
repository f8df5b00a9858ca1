# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether hosts that were seen a moment ago need not be asked again. Private to this collection.

They need not where nothing is left to do: every instance is settled as it is asked for, and its domain was seen so or
has been made so since. What is only remembered is never a reason to make, start, move or delete anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._model.host import POWER_OF_STATE
from . import capacity
from .ledger import ACTIVE, PERFORMED
from .sql import clock, fetch, later, sa, seconds_between

if sa is not None:
    from .schema import ACTIONS, HOSTS, INSTANCES

Record = Mapping[str, Any]
# The longest that a run is thought to take from its look at a host to its claim, in seconds.
LOOK_TO_CLAIM = 900


@dataclass(frozen=True)
class Recent:
    """`reason` is empty if no host need be asked; then `instances` are what a look at the hosts would tell of them."""

    reason: str
    age: int = 0
    instances: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Known:
    """What the registry remembers: instances by uuid, hosts by name, and what was seen where."""

    now: str
    held: dict[str, Any]
    hosts: dict[str, Any]
    performed: set[str]
    cells: bool = False
    guests: dict[str, dict[str, Record]] = field(default_factory=dict)
    leftovers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Sort what the hosts told by instance."""
        for name, host in self.hosts.items():
            for uuid, guest in capacity.guests(host.record).items():
                self.guests.setdefault(uuid, {})[name] = guest
            self.leftovers.update((host.record.get("extra") or {}).get("leftovers") or ())


def recent(
    connection: Any, wanted: Iterable[Record], names: Iterable[str], max_age: int, cells: bool = False
) -> Recent:
    """Return whether these hosts need not be asked for these instances.

    Args:
        connection: from connection.reading(); None where there is no registry yet.
        wanted: instance records with `uuid`, `name`, `state` and `spec_digest`.
        names: all hosts of the run.
        max_age: how many seconds ago a host may have been seen.
        cells: whether this is the top registry, to which a cell is a host: what domains there are only a cell knows.
    """
    wanted, names = list(wanted), sorted(names)
    if connection is None:
        return Recent("there is no registry yet")
    known = _known(connection, [one["uuid"] for one in wanted], names, max_age, cells)
    reason = next(_reasons(known, wanted, names, max_age), "")
    if reason:
        return Recent(reason)
    age = max((seconds_between(host.updated_at, known.now) for host in known.hosts.values()), default=0)
    return Recent("", age, [_told(known.held[one["uuid"]]) for one in wanted if one["state"] != "absent"])


def _known(connection: Any, uuids: list[str], names: list[str], max_age: int, cells: bool) -> Known:
    """Return what the registry remembers of these instances and hosts."""
    now = clock(connection)
    since = later(now, -(max_age + LOOK_TO_CLAIM))
    latest = sa.select(ACTIONS.c.instance).where(ACTIONS.c.at >= since, ACTIONS.c.action.in_(PERFORMED))
    return Known(
        now,
        {row.uuid: row for row in fetch(connection, sa.select(INSTANCES), INSTANCES.c.uuid, uuids)},
        {row.name: row for row in fetch(connection, sa.select(HOSTS), HOSTS.c.name, names)},
        {row.instance for row in fetch(connection, latest, ACTIONS.c.instance, uuids)},
        cells,
    )


def _reasons(known: Known, wanted: list[Record], names: list[str], max_age: int) -> Iterator[str]:
    """Yield every reason to ask the hosts."""
    for name in names:
        host = known.hosts.get(name)
        age = seconds_between(host.updated_at, known.now) if host else None
        if age is None or age > max_age:
            yield f"{name} was not seen yet" if age is None else f"{name} was last seen {age} s ago"
    for one in wanted:
        reason = _absent(known, one) if one["state"] == "absent" else _present(known, one)
        if reason:
            yield f"{one['name']}: {reason}"


def _absent(known: Known, one: Record) -> str:
    """Return what is left of an instance that is to be gone, if anything is."""
    left = one["uuid"] in known.held or one["uuid"] in known.guests or one["uuid"] in known.leftovers
    return "there is something of it" if left else ""


def _present(known: Known, one: Record) -> str:
    """Return why an instance may not be as it is asked for, or nothing."""
    held = known.held.get(one["uuid"])
    if held is None:
        return "it has no claim"
    if held.state != ACTIVE:
        return f"run {held.run} is at work on it, or died at it"
    if held.spec_digest != one["spec_digest"]:
        return "its specification has changed"
    if held.host not in known.hosts:
        return f"it is on {held.host}, which is not among the hosts of this run"
    if known.cells:
        return ""
    if one["uuid"] in known.performed:
        return "a run has started, stopped or mended it"
    seen = known.guests.get(one["uuid"], {})
    if set(seen) - {held.host}:
        return f"its domain was seen on {min(set(seen) - {held.host})}"
    if held.updated_at > known.hosts[held.host].updated_at:  # settled since, so it was started and checked
        return "" if held.record.get("state") == one["state"] else "its state has changed"
    return _seen(seen.get(held.host), one)


def _seen(guest: Record | None, one: Record) -> str:
    """Return why the domain, as it was seen, is not what is asked for, or nothing."""
    if guest is None:
        return "its domain was not there"
    if guest.get("state") != POWER_OF_STATE[one["state"]]:
        return f"its domain was {guest.get('state')}"
    if guest.get("damaged") or guest.get("spec_digest") != one["spec_digest"]:
        return "its domain was not as specified"
    return ""


def _told(held: Any) -> dict[str, Any]:
    """Return what a look at its host would tell of an instance that is as it is asked for."""
    ports = [{"id": one["id"], "addresses": one.get("addresses") or []} for one in held.record.get("ports") or ()]
    record = {"project": held.project, "created_at": held.created_at, "ports": ports}
    return {"uuid": held.uuid, "name": held.name, "host": held.host, "record": record}
