# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bit in the mark of one connection, told to the kernel (ctnetlink). Private.

`conntrack -U` cannot be told the zone, and would mark the connection of another tenant with the same addresses too.
The numbers are those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterable
from typing import Any

from .._model.errors import ItemError

NETLINK_NETFILTER = 12
NEW_CONNECTION = 0x0100  # changes the one that is there
REQUEST_ACK = 0x0005
GONE = 2  # ENOENT
ICMP, ICMPV6 = 1, 58


def attribute(kind: int, content: bytes, nested: bool = False) -> bytes:
    """Return one attribute, padded."""
    head = struct.pack("=HH", 4 + len(content), kind | (0x8000 if nested else 0))
    return head + content + b"\0" * (-len(content) % 4)


def tuple_of(flow: Any) -> bytes:
    """Return the addresses, protocol and ports of a connection."""
    ends = [ipaddress.ip_address(one) for one in (flow.source, flow.target)]
    first = 1 if ends[0].version == 4 else 3
    addresses = b"".join(attribute(first + at, one.packed) for at, one in enumerate(ends))
    protocol = attribute(1, struct.pack("B", flow.protocol))
    if flow.protocol in (ICMP, ICMPV6):
        at = 4 if flow.protocol == ICMP else 7
        protocol += attribute(at, struct.pack("!H", flow.ident))
        protocol += b"".join(attribute(at + 1 + n, struct.pack("B", one)) for n, one in enumerate(flow.types))
    elif flow.source_port or flow.target_port:
        protocol += attribute(2, struct.pack("!H", flow.source_port)) + attribute(
            3, struct.pack("!H", flow.target_port)
        )
    return attribute(1, addresses, True) + attribute(2, protocol, True)


def message(flow: Any, bit: int, number: int) -> bytes:
    """Return the message that sets the bit in the mark of a connection."""
    family = socket.AF_INET6 if ":" in flow.source else socket.AF_INET
    body = struct.pack("!BBH", family, 0, 0) + attribute(1, tuple_of(flow), True)
    body += attribute(8, struct.pack("!I", bit)) + attribute(21, struct.pack("!I", bit))
    body += attribute(18, struct.pack("!H", flow.zone)) if flow.zone else b""
    return struct.pack("=IHHII", 16 + len(body), NEW_CONNECTION, REQUEST_ACK, number, 0) + body


def mark(flows: Iterable[Any], bit: int) -> None:
    """Set the bit in the mark of each connection; one that is gone meanwhile is no error."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        for number, flow in enumerate(flows, start=1):
            kernel.send(message(flow, bit, number))
            code = -struct.unpack_from("=i", kernel.recv(65536), 16)[0]
            if code not in (0, GONE):
                told = f"{flow.source} -> {flow.target} port {flow.target_port}"
                raise ItemError(f"cannot cut the connection {told}, which is no longer allowed: {os.strerror(code)}")
