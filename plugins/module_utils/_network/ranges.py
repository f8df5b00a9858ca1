# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ranges of a network that a DHCP server of ours serves. Private."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._model.errors import ItemError

DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True)
class Range:
    """A range of IPv4 of which a server gives the addresses; `routes` are "range via router"."""

    cidr: str
    server: str
    gateway: str = ""
    dns: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()


def of_subnets(subnets: Iterable[Mapping[str, Any]], what: str) -> tuple[Range, ...]:
    """Return the ranges that have a server, checked so that they can be written into its configuration."""
    try:
        return tuple(_range(one) for one in subnets if one.get("dhcp_server"))
    except (KeyError, ValueError) as error:
        raise ItemError(f"{what} has a subnet that no DHCP server can serve: {error}", fault="request")


def _range(subnet: Mapping[str, Any]) -> Range:
    """Return the range of one subnet."""
    address = ipaddress.IPv4Address
    routes = [(ipaddress.IPv4Network(one["to"]), address(one["via"])) for one in subnet.get("routes") or ()]
    return Range(
        cidr=str(ipaddress.IPv4Network(subnet["cidr"])),
        server=str(address(subnet["dhcp_server"])),
        gateway=str(address(subnet["gateway"])) if subnet.get("gateway") else "",
        dns=tuple(str(ipaddress.ip_address(one)) for one in subnet.get("dns") or ()),
        routes=tuple(f"{to} via {via}" for to, via in routes),
    )


def from_dict(values: Mapping[str, Any]) -> Range:
    """Return the range that was saved as JSON."""
    return Range(**{key: tuple(one) if isinstance(one, list) else one for key, one in values.items()})


def domain_of(text: str, what: str) -> str:
    """Return the domain of a network, empty for none."""
    if text and not DOMAIN.fullmatch(text):
        raise ItemError(f"{what} has dns_domain '{text}', which is none", fault="request")
    return text
