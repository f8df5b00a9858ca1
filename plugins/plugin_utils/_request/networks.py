# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of the catalogue by themselves: as modules take them, who uses them, and as a table. Private."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from . import catalogue

Record = Mapping[str, Any]

COLUMNS = ("NETWORK", "PROJECT", "TYPE", "SEGMENT", "MTU", "SUBNETS", "USED", "FREE", "HOSTS", "USED BY")
MOST_USERS = 3
PLENTY = 10**6


def chosen(networks: Mapping[str, Any], names: str = "all") -> list[dict[str, Any]]:
    """Return networks of the catalogue by name, as module networks takes them; KeyError for a name there is not."""
    wanted = sorted(networks) if names == "all" else [one.strip() for one in names.split(",") if one.strip()]
    return [
        {**catalogue.port_of_network(name, networks[name]), "name": name, "project": networks[name].get("project", "")}
        for name in dict.fromkeys(wanted)
    ]


def users(network: str, instances: Iterable[Record]) -> list[str]:
    """Return the instances of the registry that have a port on the network, with their host."""
    found = [one for one in instances if any(port["network"] == network for port in ports_of(one))]
    return sorted(f"{one['name']} on {one['host']}" for one in found)


def ports_of(instance: Record) -> list[Record]:
    """Return the ports of an instance of the registry."""
    return list((instance.get("record") or {}).get("ports") or ())


def used(network: str, instances: Iterable[Record]) -> set[str]:
    """Return the addresses of the network that are given out."""
    ports = [port for one in instances for port in ports_of(one) if port["network"] == network]
    return {one["address"] for port in ports for one in port.get("addresses") or ()}


def in_use(networks: Iterable[Record], instances: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the networks with their users; one that has any is failed, for it is asked to be deleted."""
    instances = list(instances)
    told = [{**one, "users": users(one["name"], instances)} for one in networks]
    return [{**one, "failed": bool(one["users"]), "msg": refusal(one) if one["users"] else ""} for one in told]


def refusal(network: Record) -> str:
    """Return why a network that is in use is not deleted."""
    return f"network '{network['name']}' is used by {', '.join(network['users'])}: delete them first"


def free(network: Record, given: Iterable[str]) -> dict[int, int]:
    """Return by IP version how many addresses may still be given to those who ask for none."""
    left: dict[int, int] = {}
    for one in network["subnets"]:
        cidr = ipaddress.ip_network(one["cidr"])
        closed = [span(each) for each in one.get("reserved") or ()]
        known = [one.get("gateway"), one.get("dhcp_server"), *one.get("dns", [])]
        never = {int(ipaddress.ip_address(each)) for each in known if each}
        never |= {int(cidr[0]), *([int(cidr[-1])] if cidr.version == 4 else [])} if cidr.num_addresses > 2 else set()
        taken = {int(ipaddress.ip_address(each)) for each in given if ipaddress.ip_address(each) in cidr}
        open_ones = [part for pool in one["pool"] for part in without(span(pool), closed)]
        blocked = [each for each in never | taken if any(low <= each <= high for low, high in open_ones)]
        left[cidr.version] = left.get(cidr.version, 0) + sum(high - low + 1 for low, high in open_ones) - len(blocked)
    return left


def span(text: str) -> tuple[int, int]:
    """Return the first and last address of "first-last", or of a single address."""
    first, _dash, last = text.partition("-")
    return int(ipaddress.ip_address(first.strip())), int(ipaddress.ip_address((last or first).strip()))


def without(whole: tuple[int, int], closed: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what is left of a range without the closed ones."""
    parts = [whole]
    for low, high in closed:
        parts = [
            part
            for first, last in parts
            for part in ((first, min(last, low - 1)), (max(first, high + 1), last))
            if part[0] <= part[1]
        ]
    return parts


def table(networks: Iterable[Record], instances: Iterable[Record], hosts: Mapping[str, Iterable[Record]]) -> list[str]:
    """Return the lines of the table; `hosts` are what module networks told on each."""
    instances = list(instances)
    stand = {(host, one["name"]): bool(one.get("stands")) for host, told in hosts.items() for one in told or ()}
    rows = [COLUMNS]
    for one in networks:
        where = [host for (host, name), there in sorted(stand.items()) if name == one["name"] and there]
        rows.append(row(one, instances, where))
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(wide) for cell, wide in zip(cells, widths)).rstrip() for cells in rows]


def row(network: Record, instances: list[Record], where: list[str]) -> tuple[str, ...]:
    """Return the cells of one network."""
    given = used(network["name"], instances)
    by = users(network["name"], instances)
    left = free(network, given)
    return (
        network["name"],
        network.get("project") or "all",
        network["type"],
        str(network.get("vni") or network.get("vlan") or "-"),
        str(network["mtu"]),
        " ".join(one["cidr"] for one in network["subnets"]) or "-",
        str(len(given)) if network["subnets"] else "-",
        " + ".join(amount(left[version]) for version in sorted(left)) or "-",
        ", ".join(where) or "-",
        ", ".join(by[:MOST_USERS]) + (f" and {len(by) - MOST_USERS} more" if by[MOST_USERS:] else "") or "-",
    )


def amount(number: int) -> str:
    """Return a number of addresses; of a range of IPv6 nobody wants to read it."""
    return str(number) if number < PLENTY else "plenty"
