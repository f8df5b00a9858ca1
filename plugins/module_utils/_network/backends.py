# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of networks, by the name that the user writes. Private.

A backend is one file with three functions: `check(port, addresses)` raises ItemError if this host cannot take the
port, `needs(port)` returns the links that must stand below the tap, `settings(port)` the kernel settings.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from .._model.errors import ItemError
from . import bridge, nat, nft, ovs, qos, vxlan
from .links import OURS, Link
from .port import Port
from .settings import SHOW_BRIDGED

BACKENDS: dict[str, ModuleType] = {"bridge": bridge, "nat": nat, "ovs": ovs, "vxlan": vxlan}


def backend(port: Port) -> ModuleType:
    """Return the backend of a port's network."""
    if port.type not in BACKENDS:
        known = ", ".join(sorted(BACKENDS))
        raise ItemError(f"network '{port.network}' has type '{port.type}': want one of {known}", fault="request")
    return BACKENDS[port.type]


def tap(port: Port) -> Link:
    """Return the port's tap. Its MAC is high, so that no bridge takes it for its own."""
    return Link(
        name=port.tap,
        kind="tap",
        alias=OURS + port.id,
        mac="fe" + port.mac[2:],
        mtu=port.mtu,
        master="" if port.type == "ovs" else port.bridge,
        guard=port.port_security,
        isolated=port.isolated,
        queued=port.queues > 1,
        vlan=bridge.access_vlan(port) if port.type == "bridge" else 0,
    )


def merge(below: dict[str, Link], port: Port) -> None:
    """Add what a port needs below its tap to what others need there: ports of one network share their bridge."""
    for link in backend(port).needs(port):
        known = below.setdefault(link.name, link)
        if known == link:
            continue
        addresses = tuple(sorted({*known.addresses, *link.addresses}))
        below[link.name] = replace(link, mtu=max(known.mtu, link.mtu), addresses=addresses)


def below_of(below: dict[str, Link], ports: list[Port]) -> list[Link]:
    """Return the links below the taps of the ports in the order in which they are made: bridges of ours first."""
    names = sorted({link.name for port in ports for link in backend(port).needs(port)})
    return sorted((below[name] for name in names), key=lambda link: link.kind != "bridge")


def links_of(below: dict[str, Link], ports: list[Port]) -> list[Link]:
    """Return the links of the ports in the order in which they are made: bridges of ours, taps, what limits them."""
    limits = [qos.ifb(port) for port in ports if port.egress]
    return [*below_of(below, ports), *(tap(port) for port in ports), *limits]


def settings_of(ports: list[Port]) -> dict[str, str]:
    """Return the kernel settings that the ports need; those of all where connections of bridges are not tracked."""
    own = {path: value for port in ports for path, value in backend(port).settings(port).items()}
    stateful = any(port.filtered and port.stateful for port in ports)
    return {**own, **SHOW_BRIDGED} if stateful and not nft.tracks_bridges() else own
