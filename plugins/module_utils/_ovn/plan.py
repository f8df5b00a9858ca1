# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the rows that shall be and those that are to one transaction. Pure. Private."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._ovsdb import encoded
from .row import KEY, OWNER, Row

# In this order rows are looked at; every one has external_ids.
TABLES = {
    "Logical_Switch": ("name", "ports", "qos_rules", "dns_records"),
    "Logical_Router": ("name", "nat"),
    "DHCP_Options": ("cidr", "options"),
    "Port_Group": ("name", "ports"),
    "Logical_Switch_Port": ("name", "type", "addresses", "port_security", "options", "dhcpv4_options"),
    "Logical_Router_Port": ("name", "mac", "networks"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop"),
    "Gateway_Chassis": ("name", "chassis_name", "priority"),
    "NAT": ("type", "logical_ip", "external_ip"),
    "ACL": ("direction", "priority", "match", "action"),
    "DNS": ("records",),
    "QoS": ("direction", "priority", "match", "bandwidth"),
}
LISTS = {"addresses", "port_security", "networks", "ports", "qos_rules", "dns_records", "nat"}
# Where rows of a port hang: it may come into another network, and its network to another router.
MOVING = {("Logical_Switch", one) for one in ("ports", "qos_rules", "dns_records")} | {("Logical_Router", "nat")}


@dataclass
class World:
    """The rows of ours that are there, by table and key: their columns, with _uuid and external_ids."""

    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def of_owners(self, owners: Iterable[str]) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the rows of these owners."""
        asked = set(owners)
        return {key: row for key, row in self.rows.items() if row["external_ids"].get(OWNER) in asked}


def world_of(tables: Mapping[str, list[dict[str, Any]]]) -> World:
    """Return the world of what was read, by table."""
    return World(
        {
            (table, row["external_ids"][KEY]): row
            for table, rows in tables.items()
            for row in rows
            if KEY in row["external_ids"]
        }
    )


def column(name: str, value: Any) -> Any:
    """Return a value so that what is wanted and what is there can be compared: one of a set is a plain value there."""
    if name in LISTS:
        return sorted(value if isinstance(value, list) else [value])
    return value


@dataclass
class Plan:
    """What changes: the operations of one transaction, and in words what it is about."""

    operations: list[dict[str, Any]] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def plan(world: World, rows: Iterable[Row], owners: Iterable[str], groups: Mapping[str, set[str]]) -> Plan:
    """Return how the rows of these owners become the wanted ones.

    `groups` are the keys of the port groups that the port with a key is in: of ports that stay they are all.
    """
    wanted = {(row.table, row.key): row for row in rows}
    gone = {key: row for key, row in world.of_owners(owners).items() if key not in wanted}
    made, homes = Plan(), homes_of(world)
    names = {key: f"r{at}" for at, key in enumerate(wanted) if key not in world.rows}

    def reference(key: tuple[str, str]) -> Any:
        return ["uuid", world.rows[key]["_uuid"]] if key in world.rows else ["named-uuid", names[key]]

    for key, row in wanted.items():
        columns = {name: column(name, value) for name, value in row.columns.items()}
        have = world.rows.get(key)
        known = {name: column(name, have[name]) for name in columns} if have else {}
        links = {name: reference(other) for name, other in row.refers.items()}
        linked = {name: (have[name] if have else None) for name in (*row.refers, *_optional(row))}
        different = have is None or known != columns or have["external_ids"] != row.ids
        different = different or any(links.get(name, ["", []])[1] != (linked[name] or []) for name in linked)
        moves = moved(homes, row, have, reference)
        if not different and not moves:
            continue
        made.operations += moves
        values = {name: encoded(value) for name, value in {**columns, "external_ids": row.ids}.items()}
        values.update({name: links.get(name, ["set", []]) for name in linked})
        if have is None:
            made.operations.append({"op": "insert", "table": row.table, "row": values, "uuid-name": names[key]})
            made.operations += [_hang(row.parent, reference, "insert", reference(key))] if row.parent else []
        else:
            made.operations.append({"op": "update", "table": row.table, "where": _this(have), "row": values})
        made.before[row.key], made.after[row.key] = known or None, columns
    for (table, key), row in gone.items():
        made.operations += _removal(table, row)
        made.before[key], made.after[key] = {name: row[name] for name in TABLES[table] if name in row}, None
    _join(world, wanted, groups, reference, made)
    return made


def homes_of(world: World) -> dict[tuple[str, str, str], str]:
    """Return in which switch or router each row hangs: by table, column and uuid of the row, the key of where."""
    return {
        (table, name, uuid): key
        for table, name in MOVING
        for (other, key), row in world.rows.items()
        if other == table
        for uuid in column(name, row.get(name, []))
    }


def moved(homes: Mapping[Any, str], row: Row, have: Mapping[str, Any] | None, reference: Any) -> list[dict[str, Any]]:
    """Return the operations that take a row from the switch or router that it hangs in to the one where it shall."""
    if not have or not row.parent or row.parent[::2] not in MOVING:
        return []
    table, key, name = row.parent
    if homes.get((table, name, have["_uuid"])) == key:
        return []
    mine = ["uuid", have["_uuid"]]
    out = {"where": [[name, "includes", mine]], "mutations": [[name, "delete", mine]]}
    return [{"op": "mutate", "table": table, **out}, _hang(row.parent, reference, "insert", mine)]


def _optional(row: Row) -> tuple[str, ...]:
    """Return the columns that are emptied where a row does not speak of them."""
    return ("dhcpv4_options",) if row.table == "Logical_Switch_Port" else ()


def _this(row: Mapping[str, Any]) -> list[Any]:
    """Return the condition that is true of one row."""
    return [["_uuid", "==", ["uuid", row["_uuid"]]]]


def _hang(parent: tuple[str, str, str], reference: Any, verb: str, what: Any) -> dict[str, Any]:
    """Return the operation that hangs a row into its parent."""
    table, key, name = parent
    where = [["_uuid", "==", reference((table, key))]]
    return {"op": "mutate", "table": table, "where": where, "mutations": [[name, verb, what]]}


# Where rows of a table may hang.
HOMES = {
    "Logical_Switch_Port": (("Logical_Switch", "ports"), ("Port_Group", "ports")),
    "Logical_Router_Port": (("Logical_Router", "ports"),),
    "Logical_Router_Static_Route": (("Logical_Router", "static_routes"),),
    "Gateway_Chassis": (("Logical_Router_Port", "gateway_chassis"),),
    "NAT": (("Logical_Router", "nat"),),
    "ACL": (("Port_Group", "acls"),),
    "DNS": (("Logical_Switch", "dns_records"),),
    "QoS": (("Logical_Switch", "qos_rules"),),
}


def _removal(table: str, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the operations that take a row out of wherever it hangs; what hangs nowhere, the database forgets."""
    mine = ["uuid", row["_uuid"]]
    taken = [
        {"op": "mutate", "table": home, "where": [[name, "includes", mine]], "mutations": [[name, "delete", mine]]}
        for home, name in HOMES.get(table, ())
    ]
    return [
        *taken,
        *([] if table in HOMES and table != "DNS" else [{"op": "delete", "table": table, "where": _this(row)}]),
    ]


def _join(world: World, wanted: Mapping[Any, Row], groups: Mapping[str, set[str]], reference: Any, made: Plan) -> None:
    """Add the operations that put ports into their groups and take them out of others."""
    homes = {key: row for (table, key), row in world.rows.items() if table == "Port_Group"}
    for port, asked in sorted(groups.items()):
        uuid = (world.rows.get(("Logical_Switch_Port", port)) or {}).get("_uuid")
        have = {key for key, row in homes.items() if uuid in column("ports", row["ports"])} if uuid else set()
        changes = [(key, "insert") for key in sorted(asked - have)] + [(key, "delete") for key in sorted(have - asked)]
        for key, verb in changes:
            made.operations.append(
                _hang(("Port_Group", key, "ports"), reference, verb, reference(("Logical_Switch_Port", port)))
            )
        if changes and ("Logical_Switch_Port", port) in wanted:
            made.before.setdefault(f"{port} groups", sorted(have))
            made.after.setdefault(f"{port} groups", sorted(asked))
