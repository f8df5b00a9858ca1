# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers that are not wanted any more, and the floating addresses that go over to another. Pure. Private."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .plan import World, column, homes_of
from .row import KEY, OWNER, Row

Record = Mapping[str, Any]


def way_out(network: str, routers: Mapping[str, Any]) -> str:
    """Return the router with a way out that a network is on, empty for none."""
    found = [name for name, one in routers.items() if network in one["networks"] and one.get("external")]
    return min(found, default="")


def carried(world: World, routers: Mapping[str, Any], told: Iterable[str]) -> list[Row]:
    """Return the floating addresses of ports that nothing is said of, on the routers that their networks are on now.

    `told` are the ids of the ports that something is said of.
    """
    homes, known, rows = homes_of(world), set(told), []
    for (table, key), row in world.rows.items():
        kind, _slash, port = key.partition("/")
        uuid = (world.rows.get(("Logical_Switch_Port", f"port/{port}")) or {}).get("_uuid", "")
        network = homes.get(("Logical_Switch", "ports", uuid), "").partition("/")[2]
        router = way_out(network, routers)
        if table == "NAT" and kind == "floating" and port not in known and router:
            columns = {name: row[name] for name in ("type", "logical_ip", "external_ip")}
            about = {name: value for name, value in row["external_ids"].items() if name not in (KEY, OWNER)}
            place = ("Logical_Router", f"router/{router}", "nat")
            rows.append(Row("NAT", key, f"port/{port}", columns, place, about=about))
    return rows


def lost(world: World, params: Record, rows: Iterable[Row], owners: Iterable[str]) -> set[str]:
    """Return the keys of the routers that are not wanted any more: those between networks that all are told of.

    One stays if a floating address is on it that neither goes nor goes over to another. Where nothing is said of
    routers, all stay.
    """
    if params["routers"] is None:
        return set()
    networks, going = {one["network"] for one in params["networks"]}, set(owners)
    wanted = {(row.table, row.key) for row in rows}
    here = {
        row["_uuid"]
        for (table, key), row in world.rows.items()
        if table == "NAT" and key.startswith("floating/") and (table, key) not in wanted
        if row["external_ids"][OWNER] not in going
    }
    found = set()
    for key, legs in legs_of(world).items():
        used = here & set(column("nat", world.rows[("Logical_Router", key)].get("nat", [])))
        if key.partition("/")[2] not in params["routers"] and legs and legs <= networks and not used:
            found.add(key)
    return found


def legs_of(world: World) -> dict[str, set[str]]:
    """Return the routers by key, with the networks that they are on."""
    found: dict[str, set[str]] = {key: set() for table, key in world.rows if table == "Logical_Router"}
    for (table, key), row in world.rows.items():
        owner = row["external_ids"][OWNER]
        if table == "Logical_Router_Port" and owner in found:
            found[owner].add(key[len(f"leg/{owner.partition('/')[2]}/") :])
    return found
