# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as the port stage finds it: read once, before anything is decided. Private."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import dnsmasq, links, members, nft, saved
from .backends import BACKENDS, merge
from .links import Link
from .members import Members
from .port import Port
from .ruleset import text


@dataclass(frozen=True)
class Host:
    """Where things are on a host, and how many seconds a plug may take to prove itself."""

    state_dir: str = "/var/lib/virtfleet"
    run_dir: str = "/run/virtfleet"
    deadline: float = 10.0


@dataclass
class World:
    """What stands: `claimed` and `below` grow by each planned port, so that two of one run cannot collide.

    `saved` are the port files, `ports` the same with the planned ones, `kept` the networks made ahead (kept.py).
    `addresses` and `claimed` are IPv4 addresses with prefix by link, `below` the links of ours that taps are put on,
    `taps` the id of the port that a tap is for, `rules` whether the rules of the saved ports stand as loaded.
    `members` are those that rules know now, `told` the same with what the controller tells in this run.
    `host_ip` is the address that the other hosts reach this one at. `warnings` are what went wrong beside the ports.
    `servers` are the files of the DHCP servers that run (dnsmasq.py).
    """

    saved: dict[str, Port]
    addresses: dict[str, set[str]]
    rules: bool
    claimed: dict[str, set[str]] = field(default_factory=dict)
    below: dict[str, Link] = field(default_factory=dict)
    taps: dict[str, str] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    kept: dict[str, Port] = field(default_factory=dict)
    members: dict[str, Members] = field(default_factory=dict)
    told: dict[str, Members] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    servers: dict[str, dict[str, str]] = field(default_factory=dict)
    run_dir: str = ""
    host_ip: str = ""

    def claim(self, port: Port) -> None:
        """Count the port as one of this host, in place of an earlier version of it, and its addresses as taken."""
        earlier = self.ports.get(port.id, port)
        self.ports[port.id] = port
        if (earlier.mtu, earlier.gateways, earlier.bridge) != (port.mtu, port.gateways, port.bridge):
            self.rebuild()
        merge(self.below, port)
        self.taps[port.tap] = port.id
        if port.type == "nat":
            self.claimed.setdefault(port.bridge, set()).update(port.gateways)

    def hold(self, port: Port) -> None:
        """Count a network as kept, in place of an earlier version of it."""
        self.kept[port.id] = port
        self.rebuild()
        if port.type == "nat":
            self.claimed.setdefault(port.bridge, set()).update(port.gateways)

    def forget(self, port: Port, instead: Port | None = None) -> None:
        """Count a network as kept no more, or its earlier version."""
        self.kept.pop(port.id, None)
        self.kept.update({instead.id: instead} if instead else {})
        self.rebuild()

    def rebuild(self) -> None:
        """Make anew what ports and kept networks need below their taps."""
        self.below = {}
        for one in [*self.kept.values(), *self.ports.values()]:
            merge(self.below, one)


def rules_of(ports: Iterable[Port], known: Mapping[str, Members]) -> str:
    """Return the ruleset of this host with these ports and members of groups."""
    ports = list(ports)
    return text(ports, known, any(port.filtered for port in ports) and nft.tracks_bridges())


def read(host: Host, told: Mapping[str, Members] | None = None, host_ip: str = "") -> World:
    """Return the world: saved ports, members of groups, addresses, and whether the rules stand."""
    ports = saved.read(host.state_dir)
    known = members.read(host.state_dir)
    addresses = links.read_addresses()
    world = World(
        saved=ports,
        addresses=addresses,
        rules=nft.stands(rules_of(ports.values(), known), host.run_dir),
        claimed={link: set(taken) for link, taken in addresses.items()},
        members=known,
        told=members.merged(known, told or {}),
        host_ip=host_ip,
        servers=dnsmasq.actual(host.run_dir),
        run_dir=host.run_dir,
    )
    for port in saved.read(host.state_dir, saved.NETWORKS).values():
        if port.type in BACKENDS:
            world.hold(port)
    for port in ports.values():
        if port.type in BACKENDS:  # or a later version of this collection saved it
            world.claim(port)
    return world
