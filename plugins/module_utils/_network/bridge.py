# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend `bridge`: ports on a bridge that the host has, or on one that we make, also in a VLAN. Private.

A VLAN is one of two things. Where the network says on which interface (`physical`), the VLAN is a link of its own on it
(8021q), in a bridge of its own that is ours. Where the bridge is there already it has to filter VLANs
(vlan_filtering), and the tap becomes an access port of it.
"""

from __future__ import annotations

import hashlib
import os

from .._model.errors import ItemError
from . import links
from .links import OURS, Link
from .nat import bridge_mac
from .port import Port
from .settings import without_ipv6

MARK = "bridge"
TAG = 4  # octets that a VLAN tag adds to a frame


def ours(port: Port) -> bool:
    """Say whether the bridge of the port is one that we make."""
    return port.create or bool(port.physical)


def vlan_link(port: Port) -> str:
    """Return the name of the link that is the port's VLAN, empty where there is none."""
    if not (port.physical and port.segment):
        return ""
    name = f"{port.physical}.{port.segment}"
    return name if len(name) <= 15 else f"vfv{hashlib.sha256(port.physical.encode()).hexdigest()[:7]}.{port.segment}"


def access_vlan(port: Port) -> int:
    """Return the VLAN that the tap is an access port of, on a bridge that filters VLANs; 0 for none."""
    return 0 if ours(port) else port.segment


def check(port: Port, addresses: dict[str, set[str]]) -> None:
    """Refuse a port whose bridge this host does not have, or whose frames the bridge would drop."""
    if ours(port):
        check_physical(port, addresses)
        return
    kind = links.kind_of(port.bridge) if links.exists(port.bridge) else ""
    if kind != "bridge":
        have = f"is {'an' if kind == 'other' else 'a'} {kind} link, no bridge," if kind else "does not exist"
        way = "create it, or name another bridge in the network"
        raise ItemError(f"bridge {port.bridge} of network '{port.network}' {have} on this host: {way}")
    limit = int(links.attribute(port.bridge, "mtu") or 0)
    if port.mtu > limit:
        raise ItemError(f"mtu {port.mtu} of network '{port.network}' is more than the {limit} of bridge {port.bridge}")
    if port.segment:
        check_filtering(port)


def check_filtering(port: Port) -> None:
    """Refuse a VLAN on a bridge that passes all of them to everybody."""
    told = f"network '{port.network}' has segmentation_id {port.segment}"
    if not os.path.exists(os.path.join(links.SYSFS, port.bridge, "bridge", "vlan_filtering")):
        raise ItemError(f"{told} and the kernel of this host has no bridges that filter VLANs: name 'physical'")
    if links.attribute(port.bridge, "bridge", "vlan_filtering") != "1":
        way = f"ip link set {port.bridge} type bridge vlan_filtering 1, or name 'physical' in the network"
        raise ItemError(f"{told} and bridge {port.bridge} does not filter VLANs: {way}")


def check_physical(port: Port, addresses: dict[str, set[str]]) -> None:
    """Refuse an interface that is not there, that the host itself uses, or that cannot carry the frames."""
    name, what = port.physical, f"interface {port.physical} of network '{port.network}'"
    if not name:
        return
    if not links.exists(name):
        raise ItemError(f"{what} does not exist on this host: create it, or name another as 'physical'")
    limit = int(links.attribute(name, "mtu") or 0)
    if port.mtu > limit:
        raise ItemError(f"mtu {port.mtu} of network '{port.network}' is more than the {limit} of {name}")
    if port.segment:
        return
    if addresses.get(name):
        taken = ", ".join(sorted(addresses[name]))
        raise ItemError(f"{what} has {taken}, which this host would lose with it in a bridge: name another")
    if links.master_of(name) not in ("", port.bridge):
        raise ItemError(f"{what} is in bridge {links.master_of(name)} already: take it out, or name that bridge")


def needs(port: Port) -> list[Link]:
    """Return the links that must stand below the tap: none where the bridge is not ours."""
    if not ours(port):
        return []
    vlan = vlan_link(port)
    found = [
        Link(
            name=port.bridge,
            kind="bridge",
            alias=f"{OURS}{MARK}:{'' if vlan else port.physical}",
            mac=bridge_mac(port.bridge),
            mtu=port.mtu,
            uplink="" if vlan else port.physical,
        )
    ]
    if vlan:
        how = f"link {port.physical} name {vlan} type vlan id {port.segment}"
        mark = f"{OURS}{MARK}:{port.physical}:{port.segment}"
        found.append(Link(vlan, "vlan", mark, mac="", mtu=port.mtu, master=port.bridge, tunnel=how))
    return found


def settings(port: Port) -> dict[str, str]:
    """Return the kernel settings that the port needs: the host itself is not in a network whose bridge is ours."""
    return {without_ipv6(port.bridge): "1"} if ours(port) else {}
