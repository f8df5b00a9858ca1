# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the registry knows, for people, plans and audits: one query for each table. Private to this collection."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from . import actions, history, hosts, quotas, volumes
from .schema import VERSION
from .sql import clock, fetch, sa, seconds_between

if sa is not None:
    from .schema import GROUP_MEMBERS, INSTANCES

STORED = ("uuid", "project", "name", "domain", "host", "state", "run", "lease_until", "created_at", "updated_at")


def instances(connection: Any, now: str, records: bool = False) -> list[dict[str, Any]]:
    """Return all instances by project and name; `records` adds the whole record of each."""
    rows = connection.execute(sa.select(INSTANCES).order_by(INSTANCES.c.project, INSTANCES.c.name)).all()
    return [_instance(row, now, records) for row in rows]


def _instance(row: Any, now: str, records: bool) -> dict[str, Any]:
    """Return one instance as it is shown."""
    shown = {key: getattr(row, key) for key in STORED}
    ports = row.record.get("ports") or ()
    shown["flavor"] = (row.record.get("flavor") or {}).get("name")
    shown["image"] = (row.record.get("image") or {}).get("name")
    shown["addresses"] = [one["address"] for port in ports for one in port.get("addresses") or ()]
    shown["age"] = seconds_between(row.created_at, now)
    shown["idle"] = seconds_between(row.updated_at, now)
    shown["expired"] = bool(row.lease_until and row.lease_until <= now)
    return {**shown, "record": row.record} if records else shown


def fleet(
    connection: Any, now: str, names: Iterable[str] | None = None, without: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return the hosts of these names, or all, each with its record as it is now, and how old its last look is.

    The records list no claim of the instances `without`, which are on their way to another host.
    """
    found = hosts.load(connection, names)
    who = sa.select(INSTANCES.c.uuid, INSTANCES.c.domain, INSTANCES.c.project, GROUP_MEMBERS.c.name).outerjoin_from(
        INSTANCES, GROUP_MEMBERS, GROUP_MEMBERS.c.instance == INSTANCES.c.uuid
    )
    rows = connection.execute(who).all() if names is None else fetch(connection, who, INSTANCES.c.host, found)
    claimed = {uuid: _guest(domain, project, group) for uuid, domain, project, group in rows}
    return [
        {
            "name": host.name,
            "updated_at": host.updated_at,
            "age": seconds_between(host.updated_at, now),
            "generation": host.generation,
            "record": host.as_record(claimed, without),
        }
        for dummy, host in sorted(found.items())
    ]


def _guest(domain: str, project: str, group: str | None) -> dict[str, Any]:
    """Return what the scheduler wants to know of a claim that has no domain yet."""
    about = {"name": domain, "project": project, "project_id": project}
    return {**about, "record": {"project": project, "server_group": {"name": group}}} if group else about


def records(connection: Any, names: Iterable[str] | None = None, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the records of these hosts, or all, with the promises of now, without the claims of some instances."""
    return [one["record"] for one in fleet(connection, clock(connection), names, without)]


def everything(connection: Any, gather: Iterable[str], with_records: bool, count: int) -> dict[str, Any]:
    """Return what was asked for under its name, and the version; without a registry (connection None) it is empty."""
    if connection is None:
        nothing: dict[str, Any] = {"projects": {}, "history": {}}
        return {"schema_version": None, **{name: nothing.get(name, []) for name in gather}}
    now = clock(connection)
    readers = {
        "instances": lambda: instances(connection, now, with_records),
        "hosts": lambda: fleet(connection, now),
        "projects": lambda: quotas.usage(connection),
        "actions": lambda: actions.latest(connection, count),
        "history": lambda: history.history(connection),
        "volumes": lambda: [asdict(one) for one in volumes.load(connection).values()],
    }
    return {"schema_version": VERSION, **{name: readers[name]() for name in gather}}
