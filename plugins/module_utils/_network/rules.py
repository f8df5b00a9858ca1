# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of security groups as a host keeps them, checked so that they can be written into nftables. Private."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._model.errors import ItemError

# Protocol -> its number, as conntrack tells it too; 0 for any.
PROTOCOLS = {
    "any": 0,
    "icmp": 1,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "vrrp": 112,
    "sctp": 132,
}
WITH_PORTS = ("tcp", "udp", "sctp")
ETHERTYPES = {"": 0, "IPv4": 4, "IPv6": 6}
PORTS = re.compile(r"[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?")


@dataclass(frozen=True, order=True)
class Rule:
    """One thing that may pass.

    `version` is 4, 6 or 0 for both. `ports` are the first and last, `types` ICMP's type and code, -1 for any. The other
    side is a range, the members of a `group` ("project/group/network", see members.py) or, with neither, anybody.
    """

    direction: str
    version: int = 0
    protocol: str = "any"
    ports: tuple[int, int] = (0, 65535)
    types: tuple[int, int] = (-1, -1)
    remote: str = ""
    group: str = ""


def from_record(values: Mapping[str, Any], what: str, place: tuple[str, str]) -> Rule:
    """Return the rule of a record; `place` is the project and the network of its port."""
    direction, protocol = str(values.get("direction") or "ingress"), str(values.get("protocol") or "any")
    if direction not in ("ingress", "egress") or protocol not in PROTOCOLS:
        raise ItemError(f"{what} has a rule of '{direction}' and '{protocol}', which is none", fault="request")
    group = str(values.get("remote_group") or "")
    return Rule(
        direction=direction,
        version=ETHERTYPES.get(str(values.get("ethertype") or ""), 0),
        protocol=protocol,
        ports=_ports(str(values.get("ports") or ""), what),
        types=(_number(values.get("icmp_type"), what), _number(values.get("icmp_code"), what)),
        remote=_range(str(values.get("remote") or ""), what),
        group=f"{place[0]}/{group}/{place[1]}" if group else "",
    )


def of_groups(groups: list[Mapping[str, Any]], what: str, place: tuple[str, str]) -> tuple[Rule, ...]:
    """Return what the groups let pass together: each rule once, in a fixed order."""
    return tuple(sorted({from_record(rule, what, place) for one in groups for rule in one.get("rules") or []}))


def from_dict(values: Mapping[str, Any]) -> Rule:
    """Return the rule that was saved as JSON."""
    # By its fields at once, for a host may have saved thousands; what is not given is the default that the class has.
    rule = Rule.__new__(Rule)
    vars(rule).update(values, ports=tuple(values["ports"]), types=tuple(values["types"]))
    return rule


def _ports(text: str, what: str) -> tuple[int, int]:
    """Return the first and last port."""
    if text and not PORTS.fullmatch(text):
        raise ItemError(f"{what} has a rule with ports '{text}': want a port or first-last", fault="request")
    first, _dash, last = text.partition("-")
    return (int(first), int(last or first)) if text else (0, 65535)


def _number(value: Any, what: str) -> int:
    """Return a number of one byte, -1 for none."""
    try:
        number = -1 if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        number = 256
    if number > 255:
        raise ItemError(f"{what} has a rule with icmp type or code {value!r}: want 0 to 255", fault="request")
    return number


def _range(text: str, what: str) -> str:
    """Return the range as nftables has it."""
    try:
        return str(ipaddress.ip_network(text, strict=False)) if text else ""
    except ValueError as error:
        raise ItemError(f"{what} has a rule with a wrong remote: {error}", fault="request")
