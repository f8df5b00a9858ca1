# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between ports as they should be and as they are, and which saved ports of a host stand. Private."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .._model.host import Look
from . import dhcp, dnsmasq, floating, integration, links, members, ovs, qos, saved, settings, tunnels
from .backends import BACKENDS, links_of, settings_of
from .host import Host, World, read
from .port import Port, to_dict


def differences(world: World, ports: list[Port]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is not as it should be, before and after; both are empty when everything stands."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}

    def differ(kind: str, name: str, old: Any, new: Any) -> None:
        before.setdefault(kind, {})[name] = old
        after.setdefault(kind, {})[name] = new

    for port in ports:
        known = world.saved.get(port.id)
        if known != port:
            differ("ports", port.id, to_dict(known) if known else None, to_dict(port))
    for link in links_of(world.below, ports):
        actual = links.read(link, world.addresses)
        if actual != link:
            differ("links", link.name, asdict(actual) if actual else None, asdict(link))
    for path, value in settings.differing(settings_of(ports)).items():
        differ("settings", path, value, settings_of(ports)[path])
    limited = qos.concerned(ports, world.saved)
    limits = {name: one for port in limited for name, one in qos.wanted(port).items()}
    has = qos.actual(limited) if limited else {}
    if has != limits:
        before["qos"], after["qos"] = qos.words(has), qos.words(limits)
    floats, has = floating.wanted(ports, world.addresses), floating.actual(ports, world.addresses)
    if floats != has:
        before["floating"], after["floating"] = has, floats
    access, switched = ovs.wanted(ports), ovs.actual(port.tap for port in ovs.of(ports))
    if access != switched:
        before["ovs"], after["ovs"] = ovs.words_of(switched), ovs.words_of(access)
    less, more = carried(world, ports)
    if less or more:
        before["tunnels"], after["tunnels"] = less, more
    for name, state in integration.differing(ports).items():
        differ("switch", name, state and state["ids"], "installed by OVN")
    for network, mine in dhcp.served(ports).items():
        old, new = served(world, network, mine)
        if old != new:
            differ("dhcp", network, old, new)
    if ports and not world.rules:
        before["rules"], after["rules"] = ("changed or missing" if world.saved else "none"), "loaded"
    return before, after


def carried(world: World, ports: list[Port]) -> tuple[list[tunnels.Entry], list[tunnels.Entry]]:
    """Return the entries that the ports' vxlan networks should not have, and those that they lack; asked once each."""
    found: set[tuple[bool, tunnels.Entry]] = set()
    for key, port in tunnels.networks(ports).items():
        if key not in world.tunnels:
            want, have = tunnels.wanted([port], world.told), tunnels.actual([port])
            world.tunnels[key] = [(one in want, one) for one in want ^ have]
        found.update(world.tunnels[key])
    return sorted(one for lacks, one in found if not lacks), sorted(one for lacks, one in found if lacks)


def served(world: World, network: str, ports: list[Port]) -> tuple[list[str], list[str]]:
    """Return what is not as it should be of the DHCP server of a network, before and after, in lines of its files.

    Only those of the ports are compared: a host may be told of hundreds of one network, each by itself.
    """
    wrong = server_state(world, network)
    old, new = {wrong} - {""}, {"as its ports need it"} if wrong else set()
    have = world.servers.get(dhcp.key_of(network)) or {}
    for port in ports:
        known = world.saved.get(port.id)
        if known != port:
            same = known and known.network == network and known.served
            before = dnsmasq.lines(known, world.run_dir) if same else set(have.get("conf", "").splitlines())
            after = dnsmasq.lines(port, world.run_dir)
            old, new = old | (before - after), new | (after - before)
    return sorted(old), sorted(new)


def server_state(world: World, network: str) -> str:
    """Say what is wrong with the DHCP server of a network as the saved ports need it, empty for nothing; asked once."""
    if network not in world.serving:
        mine = [port for port in world.saved.values() if port.network == network]
        want = dnsmasq.wanted(mine, world.told, world.run_dir).get(network)
        have = world.servers.get(dhcp.key_of(network)) or None
        wrong = "does not know what it should" if have else "does not run"
        world.serving[network] = "" if want == have else wrong
    return world.serving[network]


def standing(world: World) -> set[str]:
    """Return the ids of the saved ports of which all stands: tap, bridge, kernel settings and the rules of the host."""
    ports = [port for port in world.saved.values() if port.type in BACKENDS]
    if not ports or not world.rules:
        return set()
    if differences(world, ports) == ({}, {}):
        return {port.id for port in ports}
    return {port.id for port in ports if differences(world, [port]) == ({}, {})}


def look(host: Host) -> Look:
    """Return what a host says of its ports.

    Where something is missing it is looked at again under the lock, for another run may be about to plug it.
    """
    world = read(host)
    if len(standing(world)) < len(world.saved):
        with saved.lock(host.run_dir):
            world = read(host)
    owners = {port.uuid for port in world.saved.values()}
    return Look(standing(world), owners, members.digests(world.saved.values(), world.members))
