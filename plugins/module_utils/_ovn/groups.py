# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups as port groups and ACLs of OVN. Pure. Private.

What no rule lets pass is dropped by one group that all filtered ports are in; ARP is no part of that, neighbour
discovery and answers of DHCP pass by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .row import Row, group_of

Record = Mapping[str, Any]

DROP = "vfg_drop"
DROP_KEY = "group//drop"
NUMBERS = {"gre": 47, "esp": 50, "ah": 51, "vrrp": 112}
ALLOW, BLOCK = 1002, 1001
WAYS = {"ingress": ("to-lport", "outport"), "egress": ("from-lport", "inport")}


def drop_rows() -> list[Row]:
    """Return the group of all filtered ports."""
    rows = [Row("Port_Group", DROP_KEY, DROP_KEY, {"name": DROP})]
    for way, side in WAYS.values():
        rows.append(_acl(DROP_KEY, way, BLOCK, f"{side} == @{DROP} && ip", "drop"))
    asks = "ip4 && udp.src == 68 && udp.dst == 67"
    rows.append(_acl(DROP_KEY, "from-lport", ALLOW, f"inport == @{DROP} && {asks}", "allow"))
    # A guest is no router and no DHCP server, whatever its groups let out.
    serves = "(ip4 && udp.src == 67 && udp.dst == 68) || (udp.src == 547 && udp.dst == 546) || icmp6.type == {134, 137}"
    rows.append(_acl(DROP_KEY, "from-lport", ALLOW + 1, f"inport == @{DROP} && ({serves})", "drop"))
    return rows


def group_rows(project: str, group: Record) -> list[Row]:
    """Return the rows of a security group, and of the groups that its rules name."""
    name = group_of(project, group["name"])
    rows = [empty_group(project, group["name"])]
    rows += [empty_group(project, one["remote_group"]) for one in group["rules"] if one["remote_group"]]
    action = "allow-related" if group.get("stateful", True) else "allow-stateless"
    for rule in group["rules"]:
        way, side = WAYS[rule["direction"]]
        for match in matches(project, rule):
            rows.append(_acl(f"group/{project}/{group['name']}", way, ALLOW, f"{side} == @{name} && {match}", action))
    return list({row.key: row for row in rows}.values())


def empty_group(project: str, group: str) -> Row:
    """Return the port group itself; its members are those of the ports."""
    key = f"group/{project}/{group}"
    return Row("Port_Group", key, key, {"name": group_of(project, group)}, about={"name": f"{project}/{group}"})


def _acl(group: str, way: str, priority: int, match: str, action: str) -> Row:
    """Return one ACL of a group; its content is its name."""
    columns = {"direction": way, "priority": priority, "match": match, "action": action}
    return Row("ACL", f"acl/{group}/{way}/{priority}/{match}/{action}", group, columns, ("Port_Group", group, "acls"))


def matches(project: str, rule: Record) -> list[str]:
    """Return what a rule lets pass, in OVN's words: one for each IP version that it is of."""
    side = "src" if rule["direction"] == "ingress" else "dst"
    versions = {"IPv4": ["4"], "IPv6": ["6"]}.get(rule["ethertype"], ["4", "6"])
    found = []
    for version in versions:
        parts = [f"ip{version}"]
        if rule["remote_group"]:
            parts.append(f"ip{version}.{side} == ${group_of(project, rule['remote_group'])}_ip{version}")
        elif rule["remote"]:
            parts.append(f"ip{version}.{side} == {rule['remote']}")
        found.append(" && ".join([*parts, *_protocol(rule)]))
    return found


def _protocol(rule: Record) -> Iterable[str]:
    """Return what a rule says of the protocol."""
    protocol = rule["protocol"]
    if protocol == "any":
        return []
    if protocol in ("icmp", "icmpv6"):
        word = {"icmp": "icmp4", "icmpv6": "icmp6"}[protocol]
        told = [f"{word}.{key} == {rule[f'icmp_{key}']}" for key in ("type", "code") if rule[f"icmp_{key}"] is not None]
        return [word, *told]
    if protocol in NUMBERS:
        return [f"ip.proto == {NUMBERS[protocol]}"]
    first, _dash, last = rule["ports"].partition("-")
    if not first:
        return [protocol]
    bounds = [f"{protocol}.dst == {first}"] if not last else [f"{protocol}.dst >= {first}", f"{protocol}.dst <= {last}"]
    return [protocol, *bounds]
