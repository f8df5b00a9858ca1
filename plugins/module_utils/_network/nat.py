# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend `nat`: a private bridge of ours with the gateway's address; guests go out masqueraded. Private."""

from __future__ import annotations

import hashlib
import ipaddress

from .._model.errors import ItemError
from .links import OURS, Link
from .port import Port
from .settings import forwarding, uplinks, without_ipv6


def check(port: Port, addresses: dict[str, set[str]]) -> None:
    """Refuse a network without gateway, and one whose subnet the host has elsewhere: it could not route both."""
    kind = "nat" if port.type == "nat" else "routed"
    if not port.gateways:
        raise ItemError(
            f"network '{port.network}' is {kind} and has no IPv4 subnet with a gateway: give it one", fault="request"
        )
    new = set(port.gateways) - addresses.get(port.bridge, set())
    for link, taken in sorted(addresses.items()) if new else ():
        for address in sorted(taken) if link != port.bridge else ():
            for gateway in sorted(new):
                if ipaddress.ip_interface(gateway).network.overlaps(ipaddress.ip_interface(address).network):
                    what = f"subnet {ipaddress.ip_interface(gateway).network} of network '{port.network}'"
                    raise ItemError(f"{what} overlaps {address} on {link} of this host: choose another subnet")


def bridge_mac(bridge: str) -> str:
    """Return the bridge's own MAC, locally administered; a bridge without one takes that of a port, and changes it."""
    digest = hashlib.sha256(bridge.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, 0x76, 0x66, *digest[:3]))


def needs(port: Port) -> list[Link]:
    """Return the links that must stand below the tap."""
    return [
        Link(
            name=port.bridge,
            kind="bridge",
            alias=f"{OURS}nat",
            mac=bridge_mac(port.bridge),
            mtu=port.mtu,
            addresses=port.gateways,
        )
    ]


def settings(port: Port) -> dict[str, str]:
    """Return the kernel settings that the port needs: routing between its bridge and the way out, and nowhere else."""
    routed = {forwarding(link): "1" for link in (port.bridge, *uplinks())}
    return {**routed, without_ipv6(port.bridge): "1"}
