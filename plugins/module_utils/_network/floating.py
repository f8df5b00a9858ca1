# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that others reach guests at: each on the link of the host that leads there, with a label. Private.

The rules translate (ruleset.py); here the host only comes to answer for the address, and tells the neighbours, who may
have known it on another host.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping

from .._model.errors import ItemError
from . import addresses4, links, settings
from .port import Port

LABEL = ":vf"  # of the addresses that are ours; the kernel wants the link's name before it, and takes 15 characters


def way_out(address: str, taken: Mapping[str, set[str]]) -> str:
    """Return the link that a floating address belongs on: one that has its network, else that of the default route."""
    one = ipaddress.ip_address(address)
    for link, many in sorted(taken.items()):
        if link != "lo" and any(
            one in ipaddress.ip_interface(each).network for each in many if not each.endswith("/32")
        ):
            return link
    uplinks = settings.uplinks()
    if not uplinks:
        raise ItemError(f"floating_ip {address} is in no network of this host, and it has no default route")
    return uplinks[0]


def wanted(ports: Iterable[Port], taken: Mapping[str, set[str]]) -> dict[str, str]:
    """Return the link of each floating address of the ports."""
    return {port.floating: way_out(port.floating, taken) for port in ports if port.floating}


def actual(ports: Iterable[Port], taken: Mapping[str, set[str]]) -> dict[str, str]:
    """Return the link of each floating address of the ports as it is."""
    asked = {port.floating for port in ports if port.floating}
    there = {one.partition("/")[0]: link for link, many in taken.items() for one in many if one.endswith("/32")}
    return {address: there[address] for address in asked if address in there}


def ours() -> dict[str, str]:
    """Return the link of each address that has our label."""
    return {one: link for link, one in addresses4.labelled(LABEL)}


def add(ports: Iterable[Port], taken: Mapping[str, set[str]]) -> dict[str, str]:
    """The host answers for the floating addresses of the ports; return why it does not, by tap."""
    ports = [port for port in ports if port.floating]
    want, have = wanted(ports, taken), actual(ports, taken)
    new = [port for port in ports if have.get(port.floating) != want[port.floating]]
    lines = [(port.tap, line(port.floating, want[port.floating])) for port in new]
    errors = links.run(lines)
    for port in new:
        if port.tap not in errors:
            with contextlib.suppress(OSError):
                announce(port.floating, want[port.floating])
    return errors


def line(address: str, link: str) -> str:
    """Return the line of ip that gives the host an address."""
    label = f" label {link}{LABEL}" if len(link + LABEL) <= 15 else ""
    return f"address replace {address}/32 dev {link}{label}"


def remove(gone: Iterable[str]) -> dict[str, str]:
    """The host no longer answers for these addresses; return why it does, by address."""
    there = {one.partition("/")[0]: link for link, many in addresses4.read().items() for one in many}
    return links.run([(one, f"address del {one}/32 dev {there[one]}") for one in gone if one in there])


def announce(address: str, link: str) -> None:
    """Tell the neighbours where an address is now, by a gratuitous ARP."""
    mac = bytes.fromhex(links.attribute(link, "address").replace(":", ""))
    own = ipaddress.ip_address(address).packed
    packet = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + own + bytes(6) + own
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((link, 0x0806))
        wire.send(b"\xff" * 6 + mac + struct.pack("!H", 0x0806) + packet)
