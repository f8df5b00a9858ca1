# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports, networks and routers in OVN's northbound database: read, planned, changed in one transaction. Private."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import _ovsdb as ovsdb
from .._bulk import Outcome, each_by
from .._model.errors import ItemError
from .groups import drop_rows, group_rows
from .networks import network_rows, router_rows
from .plan import TABLES, Plan, World, column, plan, world_of
from .ports import groups_of, port_rows
from .routers import carried, lost, way_out
from .row import OWNER, Row

Record = Mapping[str, Any]

DATABASE = "OVN_Northbound"
TYPE = "ovn"


def read(path: str) -> World:
    """Return the rows of ours."""
    asked = [ovsdb.select(table, ("_uuid", "external_ids", *columns)) for table, columns in TABLES.items()]
    found = ovsdb.transact(path, DATABASE, asked)
    return world_of(
        {
            table: [{name: ovsdb.decoded(value) for name, value in row.items()} for row in result["rows"]]
            for table, result in zip(TABLES, found)
        }
    )


def own_ports(record: Record) -> list[Record]:
    """Return the ports of an instance that OVN carries."""
    return [port for port in record.get("ports") or () if port.get("type") == TYPE]


def home(port: Record, routers: Mapping[str, Any]) -> str:
    """Return the router with a way out that a port's network is on."""
    found = way_out(port["network"], routers)
    if not found:
        what = f"floating_ip {port['floating_ip']} of network '{port['network']}'"
        raise ItemError(f"{what} needs a router with an external network: add one to virtfleet_routers", "request")
    return found


def rows_of(world: World, record: Record, routers: Mapping[str, Any]) -> list[Row]:
    """Return the rows of the ports of an instance; a floating address that is somebody else's is refused."""
    rows: list[Row] = []
    for port in own_ports(record):
        rows += port_rows(record, port, home(port, routers) if port.get("floating_ip") else "")
    for row in rows:
        taken = [
            have
            for (table, key), have in world.rows.items()
            if table == row.table == "NAT" and key != row.key and have["external_ip"] == row.columns["external_ip"]
        ]
        if taken:
            told = taken[0]["external_ids"].get("name") or taken[0]["external_ids"][OWNER]
            raise ItemError(f"floating_ip {row.columns['external_ip']} belongs to {told}: take another", "request")
    return rows


def shared(networks: Iterable[Record], routers: Mapping[str, Any], records: Iterable[Record]) -> list[Row]:
    """Return the rows that belong to no instance: networks, routers, and the groups that ports are in."""
    known = {one["network"]: one for one in networks}
    rows = [row for one in known.values() for row in network_rows(one)]
    rows += [row for name, one in sorted(routers.items()) for row in router_rows(name, one, known)]
    for project, group in groups_named(records):
        rows += group_rows(project, group)
    return list({(row.table, row.key): row for row in [*drop_rows(), *rows]}.values())


def groups_named(records: Iterable[Record]) -> list[tuple[str, Record]]:
    """Return the security groups of the ports of instances, with their project, each once."""
    found = {
        (record.get("project") or "default", group["name"]): group
        for record in records
        for port in own_ports(record)
        for group in port.get("security_groups") or ()
    }
    return [(project, group) for (project, _name), group in sorted(found.items())]


def outcomes_and_rows(
    world: World, records: list[Record], routers: Mapping[str, Any]
) -> tuple[list[Outcome], dict[str, Any]]:
    """Return what becomes of each instance, and by name the rows of those that are not refused.

    Those that give a floating address up have their turn first: who wants it may have it in the same transaction.
    """
    made: dict[str, list[Row]] = {}
    before, world.rows = world.rows, dict(world.rows)

    def step(record: dict[str, Any]) -> Outcome:
        made[record["name"]] = rows_of(world, record, routers)
        for port in own_ports(record):
            world.rows.pop(("NAT", f"floating/{port['id']}"), None)
        for row in made[record["name"]]:
            if row.table == "NAT":  # so that a second instance of this run cannot have it
                world.rows[(row.table, row.key)] = {**row.columns, "external_ids": row.ids}
        return Outcome(record["name"])

    def keeps(record: dict[str, Any]) -> bool:
        had = [(world.rows.get(("NAT", f"floating/{one['id']}")), one) for one in own_ports(record)]
        return all(not have or have["external_ip"] == one.get("floating_ip") for have, one in had)

    outcomes = each_by(records, keeps, step)
    world.rows = before
    return outcomes, made


def planned(world: World, params: Record) -> tuple[Plan, list[Outcome]]:
    """Return the transaction that makes networks, routers and ports, and what becomes of each instance."""
    records, routers = params["instances"], params["routers"] or {}
    outcomes, made = outcomes_and_rows(world, records, routers)
    good = [record for record in records if record["name"] in made]
    common = shared(params["networks"], routers, good)
    named = {f"group/{project}/{group['name']}" for project, group in groups_named(good)} | {"group//drop"}
    ports = {f"port/{port['id']}": groups_of(one, port) for one in good for port in own_ports(one)}
    owners = {row.owner for row in common if not row.owner.startswith("group/")} | named | set(ports)
    moved = carried(world, routers, [key.partition("/")[2] for key in ports])
    rows = [*common, *moved, *(row for many in made.values() for row in many)]
    whole = plan(world, rows, owners | lost(world, params, rows, owners), ports)
    return whole, [told(one, record, whole) for one, record in zip(outcomes, records)]


def told(outcome: Outcome, record: Record, whole: Plan) -> Outcome:
    """Return the outcome of an instance with what the plan changes of it."""
    if outcome.error:
        return outcome
    ids = [port["id"] for port in own_ports(record)]
    mine = [key for key in whole.after if any(one in key for one in ids)]
    before, after = ({key: one[key] for key in mine} for one in (whole.before, whole.after))
    return Outcome(outcome.name, bool(mine), before=before, after=after)


def planned_removal(world: World, params: Record) -> tuple[Plan, list[Outcome]]:
    """Return the transaction that takes the ports of instances away, and networks and routers that nobody uses."""
    records = params["instances"]
    uuids = {record["uuid"] for record in records}
    owners = {f"port/{port['id']}" for record in records for port in record.get("ports") or ()}
    owners |= {row["external_ids"][OWNER] for row in world.rows.values() if instance_of(row) in uuids}
    owners |= {f"network/{one['network']}" for one in params["networks"]}
    owners |= {f"router/{name}" for name in params["routers"] or ()}
    for network in params["networks"]:
        users = sorted({row["external_ids"].get("name", "") for row in users_of(world, network["network"], owners)})
        if users:
            used = f"network '{network['network']}' is used by {', '.join(users)} in OVN"
            raise ItemError(f"{used}: delete them first", fault="request")
    found = {instance_of(row) for row in world.of_owners(owners).values()}
    owners |= unused_groups(world, {row["_uuid"] for row in world.of_owners(owners).values()})
    return plan(world, [], owners, {}), [Outcome(one["name"], one["uuid"] in found) for one in records]


def unused_groups(world: World, going: set[str]) -> set[str]:
    """Return the keys of the port groups that no port is in and no rule of another group names; `going` are rows."""
    groups = {key: row for (table, key), row in world.rows.items() if table == "Port_Group"}
    used = {key for key, row in groups.items() if set(column("ports", row["ports"])) - going}
    rules = [row for (table, _key), row in world.rows.items() if table == "ACL"]
    words = " ".join(row["match"] for row in rules if row["external_ids"][OWNER] in used)
    return {key for key, row in groups.items() if key not in used and f"${row['name']}_ip" not in words}


def instance_of(row: Record) -> str:
    """Return the uuid of the instance that a row belongs to, empty for none."""
    return str(row["external_ids"].get("virtfleet-instance", ""))


def users_of(world: World, network: str, going: set[str]) -> list[Record]:
    """Return the ports in the switch of a network that are not about to go."""
    switch = world.rows.get(("Logical_Switch", f"network/{network}"))
    inside = column("ports", switch["ports"]) if switch else []
    ports = [row for (table, _key), row in world.rows.items() if table == "Logical_Switch_Port"]
    return [row for row in ports if row["_uuid"] in inside and row["external_ids"][OWNER] not in going]


def apply(path: str, whole: Plan) -> None:
    """The plan is done, all of it or nothing."""
    if whole.operations:
        ovsdb.transact(path, DATABASE, whole.operations)
