# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction has read, kept true while it decides, and written back at once. Private to this collection.

A thousand claims are decided in memory between a dozen statements, not with a dozen statements each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._model.claim import Claim, resources
from .._model.errors import ItemError
from . import actions, addresses, groups, hosts, quotas, volumes
from .sql import clock, delete, fetch, insert, later, sa

if sa is not None:
    from .schema import ACTIONS, ADDRESSES, ALLOCATIONS, GROUP_MEMBERS, INSTANCES, PORTS

CLAIMED, ACTIVE, CHANGING = "claimed", "active", "changing"
# What a run does to an active instance without a change of its claim, as the log calls it.
PERFORMED = ("start", "stop", "update")
# What the registry keeps of an instance record: all that an instance can be told from, and no secret has a name here.
KEPT = (
    *("name", "uuid", "project", "domain", "host", "hostname", "state", "flavor", "image", "volumes", "ports", "keys"),
    *("metadata", "tags", "availability_zone", "server_group", "wait_for", "config_drive", "user_data_digest"),
    *("spec_digest", "resources", "created_at"),
)


@dataclass(frozen=True)
class Terms:
    """In whose name a transaction is made, and under which rules.

    `quotas` are limits by project; claims of the runs in `takeover` ("all" for any) are free to take though their
    lease lives; `who` and `why` are for the action log.
    """

    run: str
    lease: int = 900
    quotas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    takeover: frozenset[str] = frozenset()
    who: str = ""
    why: str = ""


@dataclass(frozen=True)
class Held:
    """An instance as the registry has it; `pending` is what an active one is being changed into."""

    uuid: str
    project: str
    name: str
    domain: str
    host: str
    state: str
    record: Mapping[str, Any]
    pending: Mapping[str, Any] | None
    spec_digest: str
    run: str
    lease_until: str | None
    created_at: str
    updated_at: str

    @property
    def resources(self) -> dict[str, int]:
        """Return what it holds: while it is being changed, the larger of before and after."""
        return larger(resources(self.record), resources(self.pending) if self.pending else {})


@dataclass
class Ledger:
    """The part of the registry that a transaction is about, and what is to be written."""

    now: str
    terms: Terms
    held: dict[str, Held]
    hosts: dict[str, hosts.Host]
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    domains: dict[tuple[str, str], str] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)
    groups: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    books: dict[tuple[str, str], addresses.Book] = field(default_factory=dict)
    # Floating addresses that an instance gives up as soon as its host has done it, and the uuid of the instance.
    leaving: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, volumes.Place] = field(default_factory=dict)
    volume_owners: dict[str, str] = field(default_factory=dict)
    gathered: frozenset[str] = frozenset()
    silent: dict[str, str] = field(default_factory=dict)
    failed_builds: dict[str, int] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)
    rewritten: dict[str, Held] = field(default_factory=dict)
    touched: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unmade: set[str] = field(default_factory=set)  # volumes that a run had made and has taken away again
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lease_until(self) -> str:
        """Return when a claim made now expires."""
        return later(self.now, self.terms.lease)

    def note(self, instance: Held, action: str, why: str = "") -> None:
        """The log says what was done to the instance."""
        terms, about = self.terms, {"uuid": instance.uuid, "project": instance.project, "name": instance.name}
        self.log.append(
            actions.entry({**about, "host": instance.host}, action, self.now, terms.run, terms.who, why or terms.why)
        )


def larger(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Return the larger amount of each class."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in sorted(set(one) | set(other))}


def kept(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the registry keeps of an instance record."""
    return {key: record[key] for key in KEPT if key in record}


def told(ports: list[Any]) -> list[str]:
    """Return the addresses of ports, for a diff."""
    return [one["address"] for port in ports for one in port["addresses"]]


def is_busy(held: Held, ledger: Ledger) -> bool:
    """Say whether another run that may be alive is at work on the instance."""
    terms = ledger.terms
    if held.state == ACTIVE or held.run == terms.run or not held.lease_until or held.lease_until <= ledger.now:
        return False
    return terms.takeover.isdisjoint({"all", held.run})


def check_owner(held: Held, ledger: Ledger) -> None:
    """Raise ItemError if another run that may be alive is at work on the instance."""
    if is_busy(held, ledger):
        raise ItemError(
            f"run {held.run} is at work on it until {held.lease_until} UTC at the latest: wait for it, "
            "or name it in claim_takeover if it is dead",
            fault="request",
        )


def silent(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the hosts that did not answer, each with the reason."""
    return {one["name"]: one.get("disabled_reason") or "it is down" for one in records if one.get("up") is False}


def check_answers(held: Held, silent: Mapping[str, str]) -> None:
    """Raise ItemError if the host of the instance did not answer: nobody knows what runs there."""
    if held.host in silent:
        raise ItemError(
            f"it is on {held.host}, which does not answer ({silent[held.host]}), so nothing was done to it: bring that "
            "host back, or take it out of the inventory and delete the instance if it is lost for good",
            fault="request",
        )


def read(connection: Any, uuids: Iterable[str], host_names: Iterable[str], terms: Terms) -> Ledger:
    """Return what the registry knows of these instances, of the hosts they are on and of these hosts."""
    held = {row.uuid: Held(*row) for row in fetch(connection, sa.select(*_held_columns()), INSTANCES.c.uuid, uuids)}
    names = set(host_names) | {one.host for one in held.values()}
    return Ledger(clock(connection), terms, held, hosts.load(connection, names))


def read_rules(connection: Any, ledger: Ledger, claims: list[Claim]) -> None:
    """The ledger also has all that these claims could collide with."""
    columns = (INSTANCES.c.project, INSTANCES.c.name, INSTANCES.c.host, INSTANCES.c.domain, INSTANCES.c.uuid)
    for column, values in (
        (INSTANCES.c.name, [one.name for one in claims]),
        (INSTANCES.c.domain, [one.domain for one in claims]),
    ):
        for project, name, host, domain, uuid in fetch(connection, sa.select(*columns), column, values):
            ledger.names[(project, name)] = uuid
            ledger.domains[(host, domain)] = uuid
    ports = [port for one in claims for port in one.ports]
    for column, values in ((PORTS.c.mac, [port.mac for port in ports]), (PORTS.c.id, [port.id for port in ports])):
        for mac, port, uuid in fetch(connection, sa.select(PORTS.c.mac, PORTS.c.id, PORTS.c.instance), column, values):
            ledger.macs[mac] = port
            ledger.ports[port] = uuid
    attached = {one["id"] for claim in claims for one in volumes.alone(claim.record)}
    if attached:
        ledger.volumes = volumes.load(connection, attached)
        ledger.volume_owners = volumes.owners(connection, ledger.volumes)
    projects = {one.project for one in claims}
    ledger.usage = {**{one: dict(quotas.NOTHING) for one in projects}, **quotas.usage(connection, projects)}
    ledger.groups = groups.members(connection, {(one.project, one.group.name) for one in claims if one.group})
    places = {(port.scope, port.network) for port in ports}
    ledger.books = addresses.books(connection, {*places, addresses.FLOATING})


def write(connection: Any, ledger: Ledger) -> None:
    """The registry has what the ledger was changed into."""
    delete(connection, INSTANCES, INSTANCES.c.uuid, ledger.gone | (set(ledger.rewritten) & set(ledger.held)))
    rewritten = [one for uuid, one in ledger.rewritten.items() if uuid not in ledger.gone]
    insert(connection, INSTANCES, [vars(one) for one in rewritten])
    for table, rows in _rows(rewritten).items():
        insert(connection, table, rows)
    gone = [ledger.held[uuid] for uuid in ledger.gone if uuid in ledger.held]
    volumes.write(connection, rewritten, gone, ledger.unmade)
    stamps = [
        {"b_uuid": uuid, "state": state, "run": ledger.terms.run, "lease_until": until, "updated_at": ledger.now}
        for uuid, (state, until) in ledger.touched.items()
    ]
    if stamps:
        connection.execute(INSTANCES.update().where(INSTANCES.c.uuid == sa.bindparam("b_uuid")), stamps)
    insert(connection, ACTIONS, ledger.log)
    hosts.save(connection, ledger.hosts.values())


def _held_columns() -> list[Any]:
    """Return the columns of an instance in the order of Held."""
    return [INSTANCES.c[name] for name in Held.__dataclass_fields__]


def _rows(instances: Iterable[Held]) -> dict[Any, list[dict[str, Any]]]:
    """Return the rows of all other tables, which follow from what an instance is and what it is being changed into."""
    rows: dict[Any, dict[Any, dict[str, Any]]] = {ALLOCATIONS: {}, PORTS: {}, ADDRESSES: {}, GROUP_MEMBERS: {}}
    for one in instances:
        owner = {"instance": one.uuid}
        for name, amount in one.resources.items():
            row = {**owner, "host": one.host, "resource_class": name, "amount": amount}
            rows[ALLOCATIONS][(one.uuid, name)] = row
        for record in (one.record, one.pending or {}):
            for port in record.get("ports") or ():
                rows[PORTS][port["id"]] = {
                    **owner,
                    "id": port["id"],
                    "network": port["network"],
                    "mac": port["mac"].lower(),
                }
                scope, network = port.get("scope") or "", port["network"]
                given = [(scope, network, one["address"]) for one in port.get("addresses") or ()]
                given += [(*addresses.FLOATING, port["floating_ip"])] if port.get("floating_ip") else []
                for key in given:
                    place = {"scope": key[0], "network": key[1], "address": key[2]}
                    rows[ADDRESSES][key] = {**owner, **place, "port": port["id"]}
            if record.get("server_group"):
                key = (one.project, record["server_group"]["name"], one.uuid)
                rows[GROUP_MEMBERS][key] = {**owner, "project": key[0], "name": key[1]}
    return {table: list(found.values()) for table, found in rows.items()}
