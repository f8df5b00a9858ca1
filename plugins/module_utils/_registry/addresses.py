# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving addresses out of the pools of a network, for good: the same port keeps its own. Private to this collection."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._model.claim import PortClaim
from .._model.errors import ItemError
from .sql import fetch, sa

if sa is not None:
    from .schema import ADDRESSES, INSTANCES


@dataclass(frozen=True)
class Subnet:
    """One range: `pools` are the first and last addresses, as numbers, of what is given; `never` is what is not.

    `kept` are the first and last addresses of what is given only to whom asks for it.
    """

    cidr: Any
    gateway: str | None
    dns: tuple[str, ...]
    pools: tuple[tuple[int, int], ...]
    never: frozenset[int]
    reserved: frozenset[int]
    kept: tuple[tuple[int, int], ...] = ()

    def skip(self, number: int) -> int:
        """Return the number, or what follows the kept range that it is in."""
        return max([number, *(high + 1 for low, high in self.kept if low <= number <= high)])

    def describe(self, address: Any) -> dict[str, Any]:
        """Return an address of this subnet with what the guest must know to use it."""
        return {
            "address": str(address),
            "prefix": self.cidr.prefixlen,
            "gateway": self.gateway,
            "dns": list(self.dns),
            "cidr": str(self.cidr),
        }


# The book of the addresses that others reach guests at: whatever their networks, there is one of each.
FLOATING = ("", "//floating")


def floating(record: Mapping[str, Any] | None) -> set[str]:
    """Return the addresses that others reach an instance at."""
    return {port["floating_ip"] for port in (record or {}).get("ports") or () if port.get("floating_ip")}


def check_floating(ports: Iterable[Mapping[str, Any]], book: Book, leaving: Mapping[str, str]) -> set[str]:
    """Return the uuids of those who are about to give up a floating address of the ports.

    Raises:
        ItemError: somebody else has one, and keeps it.
    """
    mine: dict[str, str] = {}
    awaited = set()
    for port in ports:
        wanted = port.get("floating_ip")
        holder = mine.get(wanted, book.taken.get(wanted)) if wanted else None
        if holder and holder != port["id"]:
            if wanted in mine or wanted not in leaving:
                owner = book.owners.get(holder, "another port of this instance")
                raise ItemError(f"floating_ip {wanted} belongs to {owner}: choose another", "request")
            awaited.add(leaving[wanted])
        mine.update({wanted: port["id"]} if wanted else {})
    return awaited


@dataclass
class Book:
    """The addresses of one network while a transaction is open: whose each is, what each port has, who has the port."""

    taken: dict[str, str] = field(default_factory=dict)
    given: dict[str, list[str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    # (subnet, position of the pool) -> the lowest number that may be free: addresses are only taken while it is open.
    lowest: dict[Any, int] = field(default_factory=dict)

    def give(self, address: str, port: str, owner: str) -> None:
        """The address is the port's."""
        self.taken[address] = port
        self.owners[port] = owner
        if address not in self.given.setdefault(port, []):
            self.given[port].append(address)


def books(connection: Any, networks: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Book]:
    """Return what is given of these networks, each (scope, name)."""
    found = {key: Book() for key in networks}
    query = sa.select(
        ADDRESSES.c.scope,
        ADDRESSES.c.network,
        ADDRESSES.c.address,
        ADDRESSES.c.port,
        INSTANCES.c.name,
        INSTANCES.c.project,
    ).join_from(ADDRESSES, INSTANCES, ADDRESSES.c.instance == INSTANCES.c.uuid)
    rows = fetch(connection, query, ADDRESSES.c.network, {network for dummy, network in found})
    for scope, network, address, port, name, project in rows:
        if (scope, network) in found:
            found[(scope, network)].give(address, port, f"{name} (project {project})")
    return found


def choose(port: PortClaim, book: Book, also: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the addresses of a port: its fixed one, or one of each IP version that the network has.

    That is one the port holds already where the subnets still have it, else the first free one. `also` is what other
    ports of the same instance are about to get.
    """
    subnets = [subnet(one, port.network) for one in port.subnets]
    if port.fixed_ip:
        return [_fixed(port, subnets, book, also)]
    chosen: dict[int, dict[str, Any]] = {}
    for address in book.given.get(port.id, ()):
        home = next((one for one in subnets if ipaddress.ip_address(address) in one.cidr), None)
        if home and home.cidr.version not in chosen and address not in also:
            chosen[home.cidr.version] = home.describe(address)
    for version in sorted({one.cidr.version for one in subnets} - set(chosen)):
        family = [one for one in subnets if one.cidr.version == version]
        free = (one.describe(address) for one in family for address in [_free(one, book, also)] if address is not None)
        chosen[version] = next(free, None) or _exhausted(port.network, family)
    return [chosen[version] for version in sorted(chosen)]


def subnet(record: Mapping[str, Any], network: str) -> Subnet:
    """Return the subnet of a record; the gateway is the first address where the record does not speak of it."""
    try:
        cidr = ipaddress.ip_network(record["cidr"])
        first, last = int(cidr.network_address), int(cidr.broadcast_address)
        gateway = record.get("gateway", str(cidr[1]) if cidr.num_addresses > 2 else None)
        reserved = set()
        if cidr.num_addresses > 2:
            # IPv6 has no broadcast address, and its first one belongs to the routers.
            reserved = {first, last} if cidr.version == 4 else {first}
        reserved |= {int(ipaddress.ip_address(one)) for one in (gateway, record.get("dhcp_server")) if one}
        dns = tuple(str(one) for one in record.get("dns") or ())
        servers = {int(ipaddress.ip_address(one)) for one in dns if ipaddress.ip_address(one) in cidr}
        kept = tuple(_range(one) for one in record.get("reserved") or ())
        pools = tuple(_range(one) for one in record.get("pool") or ()) or ((first, last),)
    except (KeyError, ValueError) as error:
        raise ItemError(f"a subnet of network {network} cannot be read: {error}", fault="request")
    inside = tuple((max(low, first), min(high, last)) for low, high in pools)
    return Subnet(cidr, gateway, dns, inside, frozenset(reserved | servers), frozenset(reserved), kept)


def _range(text: str) -> tuple[int, int]:
    """Return the first and last address of "first-last", or of a single address."""
    first, dummy, last = str(text).partition("-")
    return int(ipaddress.ip_address(first.strip())), int(ipaddress.ip_address((last or first).strip()))


def _fixed(port: PortClaim, subnets: list[Subnet], book: Book, also: Collection[str]) -> dict[str, Any]:
    """Return the address that was asked for, or raise ItemError saying who has it or why nobody may."""
    try:
        address = ipaddress.ip_address(port.fixed_ip)
    except ValueError:
        raise ItemError(f"fixed_ip {port.fixed_ip!r} of network {port.network} is no address", fault="request")
    home = next((one for one in subnets if address in one.cidr), None)
    if home is None:
        told = ", ".join(str(one.cidr) for one in subnets) or "none"
        raise ItemError(
            f"fixed_ip {address} is in no subnet of network {port.network} ({told}): choose another", "request"
        )
    if int(address) in home.reserved:
        raise ItemError(
            f"fixed_ip {address} is the gateway, network or broadcast address of {home.cidr}: choose another", "request"
        )
    holder = book.taken.get(str(address))
    if (holder and holder != port.id) or str(address) in also:
        owner = book.owners.get(holder or "", "another port of this instance")
        raise ItemError(
            f"address {address} of network {port.network} belongs to {owner}: choose another fixed_ip", "request"
        )
    return home.describe(address)


def _free(one: Subnet, book: Book, also: Collection[str]) -> Any:
    """Return the first free address of the subnet's pools, or None."""
    make = ipaddress.IPv4Address if one.cidr.version == 4 else ipaddress.IPv6Address
    for position, (first, last) in enumerate(one.pools):
        number = book.lowest.get((one.cidr, position, first), first)
        while number <= last and (not given(one, number) or str(make(number)) in book.taken):
            number = max(number + 1, one.skip(number))
        book.lowest[(one.cidr, position, first)] = number
        while number <= last and (not given(one, number) or taken(str(make(number)), book, also)):
            number = max(number + 1, one.skip(number))
        if number <= last:
            return make(number)
    return None


def taken(address: str, book: Book, also: Collection[str]) -> bool:
    """Say whether somebody has an address, or another port of the same instance is about to."""
    return address in book.taken or address in also


def given(one: Subnet, number: int) -> bool:
    """Say whether an address is given to those who ask for none."""
    return number not in one.never and one.skip(number) == number


def _exhausted(network: str, family: list[Subnet]) -> Any:
    """Raise the ItemError of a network without a free address."""
    told = ", ".join(str(one.cidr) for one in family)
    size = sum(max(0, last - first + 1) for one in family for first, last in one.pools)
    raise ItemError(
        f"no address left in network {network}: the pools of {told} hold {size} and all that may be given are: "
        "widen a pool, add a subnet or delete instances",
        fault="request",
    )
