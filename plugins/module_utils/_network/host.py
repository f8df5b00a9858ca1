# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as the port stage finds it: read once, before anything is decided. Private."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import links, nft, saved
from .backends import BACKENDS, merge
from .links import Link
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

    `saved` are the port files, `ports` the same with the planned ones.
    `addresses` and `claimed` are IPv4 addresses with prefix by link, `below` the links of ours that taps are put on,
    `taps` the id of the port that a tap is for, `rules` whether the rules of the saved ports stand as loaded.
    """

    saved: dict[str, Port]
    addresses: dict[str, set[str]]
    rules: bool
    claimed: dict[str, set[str]] = field(default_factory=dict)
    below: dict[str, Link] = field(default_factory=dict)
    taps: dict[str, str] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)

    def claim(self, port: Port) -> None:
        """Count the port as one of this host, in place of an earlier version of it, and its addresses as taken."""
        earlier = self.ports.get(port.id, port)
        self.ports[port.id] = port
        if (earlier.mtu, earlier.gateways, earlier.bridge) != (port.mtu, port.gateways, port.bridge):
            self.below.clear()
            for one in self.ports.values():
                merge(self.below, one)
        merge(self.below, port)
        self.taps[port.tap] = port.id
        if port.type == "nat":
            self.claimed.setdefault(port.bridge, set()).update(port.gateways)


def read(host: Host) -> World:
    """Return the world: saved ports, addresses, and whether the rules stand."""
    ports = saved.read(host.state_dir)
    addresses = links.read_addresses()
    world = World(
        saved=ports,
        addresses=addresses,
        rules=nft.stands(text(ports.values()), host.run_dir),
        claimed={link: set(taken) for link, taken in addresses.items()},
    )
    for port in ports.values():
        if port.type in BACKENDS:  # or a later version of this collection saved it
            world.claim(port)
    return world
