# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a security group, as the controller and a host compare it. Private to this collection."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]


def digest(addresses: Iterable[str]) -> str:
    """Return the digest of addresses and ranges, whatever their order."""
    return hashlib.sha256("\n".join(sorted(addresses)).encode()).hexdigest()[:16]


def keys(ports: Iterable[Record], project: str) -> set[str]:
    """Return the groups that rules of these ports name, as "project/group/network", and their tunnels."""
    tunnels = {tunnel(port["network"]) for port in ports if port.get("type") == "vxlan"}
    names = {names_key(port["network"]) for port in ports if named(port)}
    return (
        tunnels
        | names
        | {
            f"{project}/{rule['remote_group']}/{port['network']}"
            for port in ports
            for group in port.get("security_groups") or ()
            for rule in group.get("rules") or ()
            if rule.get("remote_group")
        }
    )


def tunnel(network: str) -> str:
    """Return the key of all ports of a vxlan network: no group has an empty name."""
    return f"vxlan//{network}"


def names_key(network: str) -> str:
    """Return the key of the names of a network."""
    return f"names//{network}"


def named(port: Record) -> bool:
    """Say whether hosts serve names of other hosts' guests on the network of a port; those of nat do not meet."""
    served = any(one.get("dhcp_server") for one in port.get("subnets") or ())
    return bool(port.get("dns_domain")) and served and port.get("type") in ("bridge", "vxlan")


def names(wanted: Iterable[str], guests: Iterable[tuple[str, Record]]) -> dict[str, list[str]]:
    """Return the names and addresses of each network that is wanted, sorted; `guests` are (host name, port)."""
    found: dict[str, set[str]] = {key: set() for key in wanted}
    for hostname, port in guests:
        addresses = sorted(one["address"] for one in port.get("addresses") or ())
        if names_key(port["network"]) in found and addresses:
            found[names_key(port["network"])].add(" ".join([hostname, *addresses]))
    return {key: sorted(many) for key, many in found.items()}


def peer(port: Record, host_ip: str) -> str:
    """Return what other hosts must know to send to a port: the address of its host, its MAC and its addresses."""
    return " ".join([host_ip, port["mac"].lower(), *sorted(one["address"] for one in port.get("addresses") or ())])


def peers(wanted: Iterable[str], ports: Iterable[tuple[str, Record]]) -> dict[str, list[str]]:
    """Return the ports of each vxlan network that is wanted, sorted; `ports` are (address of the host, port)."""
    found: dict[str, set[str]] = {key: set() for key in wanted}
    for host_ip, port in ports:
        if tunnel(port["network"]) in found and host_ip:
            found[tunnel(port["network"])].add(peer(port, host_ip))
    return {key: sorted(many) for key, many in found.items()}


def addresses_of(port: Record) -> list[str]:
    """Return what a member sends from: its addresses and the pairs it may use beside them."""
    own = [one["address"] for one in port.get("addresses") or ()]
    pairs = [one["ip_address"] for one in port.get("allowed_address_pairs") or ()]
    return [str(ipaddress.ip_network(one)) for one in (*own, *pairs)]


def members(wanted: Iterable[str], instances: Iterable[tuple[str, Record]]) -> dict[str, list[str]]:
    """Return the addresses of the members of each group, sorted.

    An address of another network counts too, for there may be a router between them, but not where the ranges of the
    group's network have it: there it is somebody else's.

    Args:
        wanted: keys as those of `keys`.
        instances: the project and a port of every instance.
    """
    asked = {key: tuple(key.split("/", 2)) for key in wanted}
    found: dict[str, set[str]] = {key: set() for key in asked}
    ranges: dict[str, list[Any]] = {}
    sources: dict[tuple[str, str], list[Record]] = {}
    for project, port in instances:
        ranges.setdefault(port["network"], []).extend(one["cidr"] for one in port.get("subnets") or ())
        for group in port.get("security_groups") or ():
            sources.setdefault((project, group["name"]), []).append(port)
    parsed = {name: [ipaddress.ip_network(one) for one in set(many)] for name, many in ranges.items()}
    for key, (project, group, network) in asked.items():
        for port in sources.get((project, group), ()):
            home = () if port["network"] == network else parsed.get(network, ())
            found[key].update(one for one in addresses_of(port) if not _within(one, home))
    return {key: sorted(addresses) for key, addresses in found.items()}


def _within(text: str, ranges: Iterable[Any]) -> bool:
    """Say whether an address or range touches one of the ranges."""
    one = ipaddress.ip_network(text)
    return any(one.version == each.version and one.overlaps(each) for each in ranges)
