# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers and floating addresses: what is wrong with them. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .problems import Path, Problem, instead, quoted
from .ranges import address, subnet

Catalogue = dict[str, dict[str, Any]]


def check(defined: Catalogue, networks: Catalogue) -> Iterator[Problem]:
    """Yield what is wrong with the routers, and with what only OVN can of networks."""
    for name, network in networks.items():
        if network.get("external") and (network["type"] != "ovn" or "bridge" not in network):
            says = "needs 'type: ovn' and the name of the Open vSwitch bridge that leads outside as 'bridge'"
            yield Problem(("virtfleet_networks", name, "external"), says)
        if network["type"] == "ovn" and "bridge" in network and not network.get("external"):
            says = "does not go with type ovn: only an external network has one"
            yield Problem(("virtfleet_networks", name, "bridge"), says)
    seen: dict[str, str] = {}
    for name, router in defined.items():
        yield from inside_problems(name, router, networks, seen)
        yield from outside_problems(name, router, networks)


def inside_problems(name: str, router: dict[str, Any], networks: Catalogue, seen: dict[str, str]) -> Iterator[Problem]:
    """Yield what is wrong with the networks of a router; a network has one gateway, and so one router."""
    ranges: dict[Any, str] = {}
    for index, one in enumerate(router["networks"]):
        path = ("virtfleet_routers", name, "networks", index)
        network = networks.get(one)
        if network is None or network["type"] != "ovn" or network.get("external"):
            there = [key for key, each in networks.items() if each["type"] == "ovn" and not each.get("external")]
            yield Problem(path, f"is {quoted(one)}, which is no network of type ovn: {instead(one, there)}")
            continue
        first = seen.setdefault(one, name)
        if first != name:
            yield Problem(path, f"is {quoted(one)}, which is on router {quoted(first)}: a network has one router")
        cidrs = [found for each in network.get("subnets", []) if (found := subnet(each["cidr"]))]
        if not any(each.get("gateway", "first") for each in network.get("subnets", [])):
            yield Problem(path, f"is {quoted(one)}, which has no gateway for the router to be: give a subnet one")
        for cidr in cidrs:
            other = next((key for key, by in ranges.items() if by != one and overlap(key, cidr)), None)
            if other is not None:
                yield Problem(path, f"is {quoted(one)} with {cidr}, which overlaps {other} of {quoted(ranges[other])}")
            ranges[cidr] = one


def overlap(one: Any, other: Any) -> bool:
    """Say whether two ranges have an address in common."""
    return one.version == other.version and one.overlaps(other)


def outside_problems(name: str, router: dict[str, Any], networks: Catalogue) -> Iterator[Problem]:
    """Yield what is wrong with the way out of a router."""
    path = ("virtfleet_routers", name)
    if "external" not in router:
        for key in ("external_ip", "gateway_hosts"):
            if router.get(key):
                yield Problem((*path, key), "needs 'external' beside it: the network that is its way out")
        return
    external = networks.get(router["external"])
    if external is None or not external.get("external"):
        there = [key for key, one in networks.items() if one.get("external")]
        says = f"is {quoted(router['external'])}, which is no network with 'external: true'"
        yield Problem((*path, "external"), f"{says}: {instead(router['external'], there)}")
        return
    if not inside(router.get("external_ip", ""), external):
        told = quoted(router.get("external_ip", ""))
        yield Problem((*path, "external_ip"), f"is {told}: it must be an address of {quoted(router['external'])}")
    if not router.get("gateway_hosts"):
        yield Problem((*path, "gateway_hosts"), "is empty: name a host that is connected to the external network")


def inside(text: str, network: dict[str, Any]) -> bool:
    """Say whether the text is an address in the ranges of a network, and not the one of its gateway."""
    found = address(text)
    subnets = [(subnet(one["cidr"]), one) for one in network.get("subnets", [])]
    homes = [one for cidr, one in subnets if found is not None and cidr is not None and found in cidr]
    return any(one.get("gateway") is None or address(one["gateway"]) != found for one in homes)


def floating_problems(port: dict[str, Any], sound: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the floating address of a port of OVN."""
    asked, network = port["floating_ip"], port["network"]
    routers = [each for each in sound["virtfleet_routers"].values() if network in each["networks"]]
    outward = [each for each in routers if each.get("external") in sound["virtfleet_networks"]]
    if not outward:
        way = "add one with 'external' to virtfleet_routers"
        yield Problem(path, f"is {asked}, but network {quoted(network)} is on no router with a way out: {way}")
        return
    external = sound["virtfleet_networks"][outward[0]["external"]]
    if not inside(asked, external) or asked == outward[0].get("external_ip"):
        told = quoted(outward[0]["external"])
        yield Problem(path, f"is {asked}: it must be an address of {told} that no router and no gateway has")
