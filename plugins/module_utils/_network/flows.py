# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that the rules no longer allow are cut, and only they. Private.

A rule that goes does not end what it let begin: the kernel goes on knowing the connection. It is not deleted, for the
next frame of the guest would begin it anew from its own side, where all may go out. It gets a bit in the mark of the
connection, with which no answer passes any more, for as long as somebody still sends. When a rule allows it again, it
is forgotten, so that it can begin anew.
"""

from __future__ import annotations

import ipaddress
import re
import subprocess
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from .._model.errors import ItemError
from . import ctmark
from .groups import CUT
from .members import Members
from .port import Port
from .rules import PROTOCOLS, WITH_PORTS, Rule

ENDS = re.compile(r" src=(\S+) dst=(\S+) ")
FIELD = re.compile(r"(\w[\w-]*)=(\S+)")
MISSING = "conntrack is not installed on this host, so connections that are no longer allowed go on until they end"


@dataclass(frozen=True)
class Flow:
    """A connection as the kernel has it, by the side that began it; `types` are those of ICMP."""

    protocol: int
    source: str
    target: str
    source_port: int
    target_port: int
    types: tuple[int, int]
    ident: int  # of an echo
    cut: bool
    zone: int


def parse(line: str) -> Flow:
    """Return the connection of a line of `conntrack -L`; the first of each field is of the side that began."""
    told: dict[str, str] = {}
    for key, value in FIELD.findall(line):
        told.setdefault(key, value)
    return Flow(
        protocol=int(line.split()[1]),
        source=told["src"],
        target=told["dst"],
        source_port=int(told.get("sport", 0)),
        target_port=int(told.get("dport", 0)),
        types=(int(told.get("type", -1)), int(told.get("code", -1))),
        ident=int(told.get("id", 0)),
        cut=bool(int(told.get("mark", 0)) & CUT),
        zone=int(told.get("zone", 0)),
    )


def conntrack(*words: str) -> subprocess.CompletedProcess[str]:
    """Run conntrack; the caller looks at what it says."""
    try:
        return subprocess.run(["conntrack", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ItemError(MISSING)


def known(addresses: Set[str]) -> list[Flow]:
    """Return every connection that the kernel knows and one of these addresses is an end of."""
    found = []
    for family in ("ipv4", "ipv6"):
        for line in conntrack("-L", "-f", family).stdout.splitlines():
            ends = ENDS.search(line)
            if ends and not addresses.isdisjoint(ends.groups()):
                found.append(parse(line))
    return found


def allows(rule: Rule, flow: Flow, other: str, members: Mapping[str, Members]) -> bool:
    """Say whether the rule lets the connection with the other side begin."""
    address = ipaddress.ip_address(other)
    if rule.version not in (0, address.version) or PROTOCOLS[rule.protocol] not in (0, flow.protocol):
        return False
    if rule.protocol in WITH_PORTS and not rule.ports[0] <= flow.target_port <= rule.ports[1]:
        return False
    if any(asked not in (-1, had) for asked, had in zip(rule.types, flow.types)):
        return False
    ranges = members.get(rule.group, Members()).addresses if rule.group else [rule.remote] if rule.remote else None
    return ranges is None or any(address in ipaddress.ip_network(one) for one in ranges)


def may_be(flow: Flow, port: Port, direction: str, members: Mapping[str, Members]) -> bool:
    """Say whether a port still lets a connection begin: from it (egress) or to it (ingress)."""
    if not port.filtered or {flow.source_port, flow.target_port} in ({67, 68}, {546, 547}):
        return True
    other = flow.target if direction == "egress" else flow.source
    return any(allows(rule, flow, other, members) for rule in port.rules if rule.direction == direction)


def judged(ports: Iterable[Port], members: Mapping[str, Members], flows: Iterable[Flow]) -> list[tuple[Flow, bool]]:
    """Return the connections of these ports about which the kernel is to be told, with whether they may be."""
    owners = {(port.zone, one): port for port in ports for one in port.addresses}
    found = []
    for flow in flows:
        sides = (("egress", flow.source), ("ingress", flow.target))
        ends = [(owners[(flow.zone, one)], way) for way, one in sides if (flow.zone, one) in owners]
        allowed = all(may_be(flow, port, way, members) for port, way in ends)
        if ends and allowed is flow.cut:
            found.append((flow, allowed))
    return found


def words(flow: Flow) -> list[str]:
    """Return what tells conntrack which connection is meant."""
    told = ["-p", str(flow.protocol), "-s", flow.source, "-d", flow.target, "--orig-zone", str(flow.zone)]
    if flow.source_port or flow.target_port:
        told += ["--sport", str(flow.source_port), "--dport", str(flow.target_port)]
    elif flow.types[0] >= 0:
        told += ["--icmp-type", str(flow.types[0]), "--icmp-code", str(flow.types[1]), "--icmp-id", str(flow.ident)]
    return ["-f", "ipv6" if ":" in flow.source else "ipv4", *told]


def enforce(ports: list[Port], members: Mapping[str, Members]) -> int:
    """Cut the connections of these ports that may no longer be, forget those that may be again; return how many."""
    addresses = {one for port in ports for one in port.addresses}
    if not addresses:
        return 0
    found = judged(ports, members, known(addresses))
    ctmark.mark([flow for flow, allowed in found if not allowed], CUT)
    for flow in (flow for flow, allowed in found if allowed):
        conntrack("-D", *words(flow))
    return len(found)
