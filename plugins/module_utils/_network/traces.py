# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved ports, taps, bridges and rules, for the audit and the sweep. Private."""

from __future__ import annotations

import os
import time

from .._model.errors import ItemError
from .._model.trace import Place, Trace
from . import dhcp, dnsmasq, floating, links, members, nft, ovs, saved, tunnels, unplug
from .backends import BACKENDS, backend
from .host import Host, World, key_of, native_of, read, rules_of
from .kept import ports_in
from .port import Port


def host_of(place: Place) -> Host:
    """Return the host as the port stage names it."""
    return Host(place.state_dir, place.run_dir)


def age_of(path: str) -> int | None:
    """Return how many seconds ago the file was written; of a link the kernel tells when it was first looked at."""
    try:
        return max(0, int(time.time() - os.lstat(path).st_mtime))
    except OSError:
        return None


def seen(place: Place) -> World:
    """Return what stands, looked at while no run is in the middle of a change."""
    with saved.lock(place.run_dir):
        return read(host_of(place))


def find_ports(place: Place) -> list[Trace]:
    """Return every saved port: of an instance without a domain it is stray, and so is one that its domain has not."""
    found = []
    for port in seen(place).saved.values():
        path = saved.path_of(place.state_dir, port.id)
        told = f"port {port.id} of {port.instance} is saved, with tap {port.tap}"
        foreign = port.uuid in place.domains and not any(place.names(port.uuid, one) for one in (port.id, port.tap))
        belongs = {"within": port.uuid} if foreign else {"owner": port.uuid}
        remedy = f"ip link delete {port.tap}; rm {path}; boot.yml for any instance of this host loads the rules again"
        evidence = f"{told}, and its domain has no such card" if foreign else told
        found.append(Trace("port", port.id, evidence, remedy, age=age_of(path), old=age_of(path), **belongs))
    return found


def remove_port(place: Place, trace: Trace) -> None:
    """Tap, file and rules of the port are gone, in this order."""
    with saved.lock(place.run_dir):
        ports = [port for port in read(host_of(place)).saved.values() if port.id == trace.name]
        errors = unplug.remove(host_of(place), ports)
    for tap, why in errors.items():
        raise ItemError(f"cannot delete {tap}: {why}")


def stray_links(place: Place, kind: str) -> dict[str, str]:
    """Return the links of one kind that carry our mark and that no saved port uses: name -> what follows the mark.

    Links of a network are of kind bridge, whatever they are: those that carry it go with it.
    """
    ports = seen(place).saved
    marked = links.ours()
    if kind in ("tap", "ifb"):
        return {name: mark for name, mark in marked.items() if links.kind_of(name) == kind and mark not in ports}
    used = bridges_of(ports, place)
    found = {name: mark for name, mark in marked.items() if links.kind_of(name) in ("bridge", "vxlan", "vlan")}
    return {name: mark for name, mark in found.items() if name not in used and not occupants(name, marked)}


def occupants(name: str, marked: dict[str, str]) -> list[str]:
    """Return what is in a bridge of ours beside the links that carry its network."""
    uplink = marked.get(name, "").partition(":")[2]
    carriers = [one for one in ports_in(name) if links.kind_of(one) in ("vxlan", "vlan") and one in marked]
    return [one for one in ports_in(name) if one not in carriers and one != uplink]


def bridges_of(ports: dict[str, Port], place: Place) -> set[str]:
    """Return the bridges and other links of the saved ports and of the networks that are kept without any."""
    every = [*ports.values(), *saved.read(place.state_dir, saved.NETWORKS).values()]
    known = [port for port in every if port.type in BACKENDS]
    return {port.bridge for port in every} | {link.name for port in known for link in backend(port).needs(port)}


def find_links(place: Place, kind: str, evidence: str) -> list[Trace]:
    """Return the links of one kind that belong to no saved port."""
    return [
        Trace(
            "tap" if kind == "ifb" else kind,
            name,
            evidence.format(name=name, mark=mark),
            f"ip link delete {name}",
            age=age,
            old=age,
        )
        for name, mark in stray_links(place, kind).items()
        for age in [age_of(os.path.join(links.SYSFS, name))]
    ]


def find_taps(place: Place) -> list[Trace]:
    """Return the taps of ours without a saved port."""
    told = "{name} is ours, of port {mark}, and that port is not saved"
    found = [*find_links(place, "tap", f"tap {told}"), *find_links(place, "ifb", f"limit {told}")]
    switched = ovs.strays(seen(place).saved)
    said = "port {name} of Open vSwitch is ours, and no saved port is it"
    return [*found, *(Trace("tap", one, said.format(name=one), f"ovs-vsctl del-port {one}") for one in switched)]


def find_bridges(place: Place) -> list[Trace]:
    """Return the bridges of ours that nothing is in; one of a network that the inventory has is no finding."""
    return find_links(place, "bridge", "bridge {name} is ours, nothing is in it and no network of the inventory has it")


def remove_link(place: Place, trace: Trace) -> None:
    """The link is gone if it is still ours and nothing uses it."""
    with saved.lock(place.run_dir):
        ports = read(host_of(place)).saved
        marked = links.ours()
        used = marked.get(trace.name) in ports or trace.name in bridges_of(ports, place)
        switched = trace.name in ovs.strays(ports)
        if (trace.name not in marked and not switched) or used or occupants(trace.name, marked):
            raise ItemError(f"{trace.name} is in use now: nothing was removed")
        if switched:
            ovs.vsctl("--if-exists", "del-port", trace.name)
        for name, why in links.delete([trace.name] if trace.name in marked else []).items():
            raise ItemError(f"cannot delete {name}: {why}")


def find_entries(place: Place) -> list[Trace]:
    """Return what of addresses is nobody's: entries of vxlan networks that nobody told, and floating addresses."""
    world = seen(place)
    known = {port.floating for port in world.saved.values()}
    told = "address {0} is on {1} with our label, and no saved port has it"
    addresses = [
        Trace("entry", f"address {link} {one}", told.format(one, link), f"ip address del {one}/32 dev {link}")
        for one, link in sorted(floating.ours().items())
        if one not in known
    ]
    stray = sorted(tunnels.actual(world.saved.values()) - tunnels.wanted(world.saved.values(), world.members))
    return addresses + [
        Trace(
            "entry",
            " ".join(one),
            f"{one[0]} entry of {one[1]} says that {one[2]} is at {one[3]}, and nobody told this host so",
            "{} {}".format(*tunnels.line(one, False)),
        )
        for one in stray
    ]


def remove_entry(place: Place, trace: Trace) -> None:
    """The entry is gone if it is still none that this host was told of."""
    with saved.lock(place.run_dir):
        world = read(host_of(place))
        want, have = (
            tunnels.wanted(world.saved.values(), world.members),
            tunnels.actual(world.saved.values()),
        )
        address = trace.name.split()[-1]
        if trace.name.startswith("address ") and address in set(floating.ours()) - {
            port.floating for port in world.saved.values()
        }:
            floating.remove([address])
        entry = next((one for one in have - want if " ".join(one) == trace.name), None)
        if entry:
            tunnels.apply(set(), {entry})


def find_dhcp(place: Place) -> list[Trace]:
    """Return the DHCP servers of ours that no saved port needs, and those that are not as saved ports need them."""
    world = seen(place)
    want = dnsmasq.wanted(world.saved.values(), world.members, place.run_dir)
    needed = {dhcp.key_of(network): network for network in want}
    found = []
    for key in world.servers:
        if key not in needed:
            path = dnsmasq.folder(place.run_dir, key)
            evidence = f"a DHCP server of ours, with files in {path}, has no saved port to serve"
            remedy = f"kill the dnsmasq of {path}/pid; ip netns delete {dhcp.LINK}{key}; rm -r {path}"
            found.append(Trace("dhcp", key, evidence, remedy, age=age_of(path), old=age_of(path)))
    for key, network in needed.items():
        if want[network] != world.servers.get(key):
            says = "does not know what it should" if world.servers.get(key) else "does not run"
            remedy = "boot.yml for an instance of this host mends it"
            found.append(Trace("dhcp", key, f"the DHCP server of network '{network}' {says}", remedy, removable=False))
    return found


def remove_dhcp(place: Place, trace: Trace) -> None:
    """Nothing is left of a server that no saved port needs."""
    with saved.lock(place.run_dir):
        needed = {dhcp.key_of(network) for network in dhcp.served(saved.read(place.state_dir).values())}
        if trace.name in needed:
            raise ItemError(f"{trace.name} is in use now: nothing was removed")
        dnsmasq.stop(place.run_dir, trace.name)


def find_missing(place: Place) -> list[Trace]:
    """Return the taps of saved ports that are not on the host."""
    return [
        Trace(
            "missing",
            port.tap,
            f"tap {port.tap} of port {port.id} of {port.instance} is not there",
            "boot.yml for its instance plugs it again",
            within=port.uuid,
            removable=False,
        )
        for port in seen(place).saved.values()
        if not links.exists(port.tap)
    ]


def find_rules(place: Place) -> list[Trace]:
    """Return our tables if they are not what the saved ports want; without any port there must be none."""
    world = seen(place)
    standing = nft.listing()
    if not world.saved and standing:
        names = ", ".join(sorted(nft.OURS))
        remedy = "; ".join(f"nft delete table {name}" for name in sorted(nft.OURS))
        return [Trace("rules", "virtfleet", f"rules of ours stand ({names}) and no port is saved", remedy)]
    if world.saved and not world.rules:
        evidence = "the rules of table bridge virtfleet are not those that were loaded for the saved ports"
        remedy = "boot.yml for an instance of this host loads them again"
        return [Trace("rules", "virtfleet", evidence, remedy, removable=False)]
    return []


def remove_rules(place: Place, trace: Trace) -> None:
    """The tables of ours are what the saved ports want, which is none where no port is saved."""
    with saved.lock(place.run_dir):
        files = saved.contents(place.state_dir)
        ports = saved.parsed(place.state_dir, files).values()
        groups = members.of_ports(ports, members.read(place.state_dir))
        nft.load(rules_of(ports, groups), place.run_dir, key_of(files, groups, native_of(ports)))
