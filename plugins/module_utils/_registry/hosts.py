# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts as the registry knows them: their last record and what is promised of them. Private to this collection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._model.errors import ItemError
from .._model.host import pack
from . import capacity
from .sql import fetch, insert, sa

if sa is not None:
    from .schema import ALLOCATIONS, HOSTS


@dataclass
class Host:
    """One host while a transaction is open; `claims` are our promises by instance uuid and class.

    `guests` are the domains that the record lists, by uuid.
    """

    name: str
    record: dict[str, Any]
    generation: int
    failed_builds: int
    updated_at: str
    claims: dict[str, dict[str, int]]
    have: dict[str, capacity.Inventory] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    guests: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    touched: bool = False

    def __post_init__(self) -> None:
        """Work out once what the host has and what is promised of it."""
        self.have = capacity.inventories(self.record)
        self.guests = capacity.guests(self.record)
        self.used = capacity.foreign(self.record, self.guests, self.claims)
        for amounts in self.claims.values():
            self._add(amounts, 1)

    def _add(self, amounts: Mapping[str, int], sign: int) -> None:
        """Count amounts into or out of what is in use."""
        for name, amount in amounts.items():
            self.used[name] = self.used.get(name, 0) + sign * amount

    def check(self, uuid: str, wanted: Mapping[str, int]) -> None:
        """Raise ItemError unless there is room for what the instance does not hold here already."""
        held = self.claims.get(uuid, {})
        growing = {name: amount for name, amount in wanted.items() if amount > held.get(name, 0)}
        used = {name: amount - held.get(name, 0) for name, amount in self.used.items()}
        capacity.check(self.name, self.have, used, growing)

    def take(self, uuid: str, wanted: Mapping[str, int]) -> None:
        """Promise these amounts to the instance, in place of what it held here."""
        self.release(uuid)
        self.claims[uuid] = dict(wanted)
        self._add(wanted, 1)

    def release(self, uuid: str) -> None:
        """Take back what the instance held here."""
        self._add(self.claims.pop(uuid, {}), -1)
        self.touched = True

    def forget(self, uuid: str) -> None:
        """The record no longer lists a domain that is deleted, so that nobody takes it for a stranger's."""
        gone = self.guests.pop(uuid, None)
        if gone is None:
            return
        self.record = {**self.record, "instances": self.listed()}
        for name, *dummy in capacity.CLASSES.values():
            key = f"{name}_used"
            if self.record.get(key) is not None:
                self.record[key] = max(0, self.record[key] - int(gone.get(name) or 0))

    def listed(self, more: Iterable[Mapping[str, Any]] = ()) -> Any:
        """Return the guests as the record lists them, as one text or as a list, and others behind them."""
        guests = [*self.guests.values(), *more]
        return pack(guests) if isinstance(self.record.get("instances"), str) else guests

    def stranger(self, domain: str, uuid: str) -> bool:
        """Say whether another guest of this host has the domain's name."""
        return any(
            other != uuid and other not in self.claims and one.get("name") == domain
            for other, one in self.guests.items()
        )

    def as_record(self, claimed: Mapping[str, Mapping[str, Any]], without: Collection[str] = ()) -> dict[str, Any]:
        """Return the record with the promises of now: what a fresh look at the host would say, and its failed builds.

        Args:
            claimed: instance uuid -> name and project of our claims, for the list of guests.
            without: uuids of claims that are not listed there.
        """
        record = {**self.record, "failed_builds": self.failed_builds}
        for name, (field_name, *dummy) in capacity.CLASSES.items():
            record[f"{field_name}_used"] = self.used.get(name, 0)
        if record.get("inventory"):
            record["inventory"] = {
                name: {**one, "used": self.used.get(name, 0)} for name, one in record["inventory"].items()
            }
        claims = []
        for uuid in sorted(set(self.claims) - set(self.guests) - set(without)):
            sizes = {key: self.claims[uuid].get(name, 0) for name, (key, *dummy) in capacity.CLASSES.items()}
            claims.append({"uuid": uuid, **claimed.get(uuid, {}), **sizes})
        return {**record, "instances": self.listed(claims)}


def load(connection: Any, names: Iterable[str] | None = None) -> dict[str, Host]:
    """Return the hosts of these names, or all, as far as the registry knows them."""
    hosts, allocations = sa.select(HOSTS), sa.select(ALLOCATIONS)
    if names is None:
        rows, held = connection.execute(hosts).all(), connection.execute(allocations).all()
    else:
        names = set(names)
        rows = fetch(connection, hosts, HOSTS.c.name, names)
        held = fetch(connection, allocations, ALLOCATIONS.c.host, names)
    claims: dict[str, dict[str, dict[str, int]]] = {}
    for uuid, host, resource_class, amount in held:
        claims.setdefault(host, {}).setdefault(uuid, {})[resource_class] = amount
    return {
        row.name: Host(
            row.name, row.record, row.generation, row.failed_builds, row.updated_at, claims.get(row.name, {})
        )
        for row in rows
    }


def remember(connection: Any, records: Iterable[Mapping[str, Any]], now: str) -> None:
    """The registry has these host records, which were gathered just now."""
    given = {}
    for record in records:
        if not record.get("name"):
            raise ItemError("a host record has no 'name', which stage host_info fills in", fault="request")
        given[record["name"]] = {key: value for key, value in record.items() if key != "failed_builds"}
    known = {row.name for row in fetch(connection, sa.select(HOSTS.c.name), HOSTS.c.name, given)}
    new = {"generation": 0, "failed_builds": 0, "updated_at": now}
    insert(connection, HOSTS, [{"name": name, "record": given[name], **new} for name in given if name not in known])
    again = [{"b_name": name, "record": given[name], "updated_at": now} for name in given if name in known]
    if again:
        connection.execute(HOSTS.update().where(HOSTS.c.name == sa.bindparam("b_name")), again)


def save(connection: Any, hosts: Iterable[Host]) -> None:
    """The registry has what became of the touched hosts, each with its next generation."""
    rows = []
    for host in hosts:
        if host.touched:
            host.generation += 1
            counts = {"generation": host.generation, "failed_builds": host.failed_builds}
            rows.append({"b_name": host.name, "record": host.record, **counts})
    if rows:
        connection.execute(HOSTS.update().where(HOSTS.c.name == sa.bindparam("b_name")), rows)
