# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and ranges as users write them. Private to this collection."""

from __future__ import annotations

import ipaddress

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def subnet(text: str) -> Subnet | None:
    """Return the range, or nothing if the text is none; host bits are forgiven here and reported where it matters."""
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def address(text: str) -> Address | None:
    """Return the address, or nothing if the text is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
