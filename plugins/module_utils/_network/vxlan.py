# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend `vxlan`: one network over all hosts; bridges of ours, each with a link that carries it. Private.

No host learns from another what is where, and none asks: who runs where is in the registry, and stage claim tells
every host that has a port of the network (tunnels.py).

With `router` each host has the gateway's address on its bridge, with one MAC for all of them, which comes from the name
of the bridge: a guest finds its router on whatever host it is, and goes out there. Floating addresses: floating.py.
"""

from __future__ import annotations

from .._model.errors import ItemError
from . import links, nat
from .links import OURS, Link
from .nat import bridge_mac
from .port import Port
from .settings import without_ipv6

# What a packet grows by: Ethernet, VXLAN, UDP and IPv4; 20 more with IPv6.
OVERHEAD = {4: 50, 6: 70}
MARK = "vxlan"


def link_name(port: Port) -> str:
    """Return the name of the link that carries the network."""
    return f"vfx-{port.vni}"


def check(port: Port, addresses: dict[str, set[str]]) -> None:
    """Refuse a port of a network that this host cannot carry."""
    if not 1 <= port.vni < 2**24:
        raise ItemError(f"network '{port.network}' has vni {port.vni}: want 1 to 16777215", fault="request")
    if port.router:
        nat.check(port, addresses)
    if not port.local:
        told = "has no address that the others reach it at: give it host_info_host_ip, an address of its own"
        raise ItemError(f"network '{port.network}' is vxlan and this host {told}")
    own = {one.partition("/")[0]: link for link, taken in addresses.items() for one in taken}
    if ":" in port.local:
        return  # only IPv4 addresses of links are read
    if port.local not in own:
        raise ItemError(f"network '{port.network}' is to be carried from {port.local}, which this host does not have")
    room = int(links.attribute(own[port.local], "mtu") or 0) - OVERHEAD[4]
    if port.mtu > room:
        where = f"which {own[port.local]} with {port.local} carries in packets of {room + OVERHEAD[4]}"
        raise ItemError(f"mtu {port.mtu} of network '{port.network}' does not fit, {where}: at most {room} does")


def needs(port: Port) -> list[Link]:
    """Return the links that must stand below the tap: the bridge, and the link to the other hosts on it."""
    mark = f"{OURS}{MARK}"
    tunnel = f"id {port.vni} local {port.local}"
    return [
        Link(
            name=port.bridge,
            kind="bridge",
            alias=mark,
            mac=bridge_mac(port.bridge),
            mtu=port.mtu,
            addresses=port.gateways if port.router else (),
        ),
        Link(
            name=link_name(port),
            kind="vxlan",
            alias=f"{mark}:{port.vni}:{port.local}",
            mac=bridge_mac(link_name(port)),
            mtu=port.mtu,
            master=port.bridge,
            tunnel=tunnel,
        ),
    ]


def settings(port: Port) -> dict[str, str]:
    """Return the kernel settings that the port needs: the host is not in the network, unless it is its router."""
    return nat.settings(port) if port.router else {without_ipv6(port.bridge): "1"}
