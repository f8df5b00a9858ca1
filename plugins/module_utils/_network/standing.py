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
    want, have = tunnels.wanted(ports, world.told), tunnels.actual(ports)
    if want != have:
        before["tunnels"], after["tunnels"] = sorted(have - want), sorted(want - have)
    for name, state in integration.differing(ports).items():
        differ("switch", name, state and state["ids"], "installed by OVN")
    for network, files in served(world, ports).items():
        have = world.servers.get(dhcp.key_of(network)) or None
        if files != have:
            differ("dhcp", network, have, files)
    if ports and not world.rules:
        before["rules"], after["rules"] = ("changed or missing" if world.saved else "none"), "loaded"
    return before, after


def served(world: World, ports: list[Port]) -> dict[str, dict[str, str]]:
    """Return the files of the DHCP servers of the ports' networks, with all ports of this host on them."""
    networks = set(dhcp.served(ports))
    mine = {**world.saved, **{port.id: port for port in ports}} if networks else {}
    return dnsmasq.wanted([port for port in mine.values() if port.network in networks], world.told, world.run_dir)


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
