# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups: what is wrong with them, and what the stages after this one get to know of them.

Private to this collection. The rules are those of Neutron's API where it has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .problems import Path, Problem, instead, quoted
from .ranges import address, subnet

Group = dict[str, Any]
Rule = dict[str, Any]

DEFAULT = "default"
WITH_PORTS = ("tcp", "udp", "sctp")
WITH_TYPES = {"icmp": "IPv4", "icmpv6": "IPv6"}
VERSIONS = {4: "IPv4", 6: "IPv6"}
# The group that is there although nobody wrote it: Neutron's, which makes one for each project.
BUILT_IN: Group = {"rules": [{"direction": "ingress", "remote_group": DEFAULT}, {"direction": "egress"}]}


def check(sound: dict[str, Group], defined: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the rules; `defined` is every group there is, `sound` those that fit the schema."""
    known = {DEFAULT: BUILT_IN, **defined} if isinstance(defined, dict) else {}
    for name, group in sound.items():
        for index, rule in enumerate(group.get("rules", [])):
            path = ("virtfleet_security_groups", name, "rules", index)
            yield from remote_problems(rule, path, known)
            yield from port_problems(rule, path)
            yield from type_problems(rule, path)


def remote_problems(rule: Rule, path: Path, known: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the other side of a rule."""
    if "remote" in rule and "remote_group" in rule:
        yield Problem(path, "has both 'remote' and 'remote_group': write two rules")
    if "remote" in rule and subnet(rule["remote"]) is None:
        yield Problem((*path, "remote"), f"is {quoted(rule['remote'])}: it must be a range such as 10.0.0.0/24")
    if "remote_group" in rule and rule["remote_group"] not in known:
        yield not_there((*path, "remote_group"), rule["remote_group"], "virtfleet_security_groups", known)
    versions = {
        "ethertype": rule.get("ethertype"),
        "protocol": WITH_TYPES.get(rule.get("protocol", "")),
        "remote": VERSIONS[found.version] if (found := subnet(rule.get("remote", ""))) else None,
    }
    told = {key: version for key, version in versions.items() if version}
    if len(set(told.values())) > 1:
        (first, one), (second, other) = list(told.items())[:1] + list(told.items())[-1:]
        yield Problem(path, f"has {first} of {one} and {second} of {other}: nothing is both, so write two rules")


def port_problems(rule: Rule, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the ports of a rule."""
    if "ports" in rule and rule.get("protocol") not in WITH_PORTS:
        yield Problem((*path, "ports"), "needs 'protocol: tcp', 'protocol: udp' or 'protocol: sctp' beside it")
    first, _dash, last = str(rule.get("ports", "")).partition("-")
    if last and not int(first) <= int(last) <= 65535:
        yield Problem((*path, "ports"), f"is {quoted(rule['ports'])}: it must go from a lower port to a higher one")


def type_problems(rule: Rule, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the ICMP type of a rule."""
    for key in ("icmp_type", "icmp_code"):
        if key in rule and rule.get("protocol") not in WITH_TYPES:
            yield Problem((*path, key), "needs 'protocol: icmp' or 'protocol: icmpv6' beside it")
    if "icmp_code" in rule and "icmp_type" not in rule:
        yield Problem((*path, "icmp_code"), "needs 'icmp_type' beside it")


def not_there(path: Path, name: str, variable: str, defined: dict[str, Any]) -> Problem:
    """Return the problem of a name that its variable does not define."""
    return Problem(path, f"is {quoted(name)}, which is not in {variable}: {instead(name, defined)}")


def whole(name: str, group: Group) -> Group:
    """Return the group as records have it: every rule complete, and one more where everything may go out."""
    rules = [whole_rule(one) for one in group.get("rules", [])]
    if group.get("open_egress", not any(one["direction"] == "egress" for one in rules)):
        rules.append(whole_rule({"direction": "egress"}))
    return {"name": name, "stateful": group.get("stateful", True), "rules": rules}


def whole_rule(rule: Rule) -> Rule:
    """Return the rule with every key, and the one IP version it can be of, if it is only one."""
    protocol, remote = rule.get("protocol", "any"), subnet(rule.get("remote", ""))
    version = rule.get("ethertype") or WITH_TYPES.get(protocol) or (VERSIONS[remote.version] if remote else "")
    return {
        "direction": rule.get("direction", "ingress"),
        "ethertype": version,
        "protocol": protocol,
        "ports": str(rule.get("ports", "")),
        "icmp_type": rule.get("icmp_type"),
        "icmp_code": rule.get("icmp_code"),
        "remote": str(remote) if remote else "",
        "remote_group": rule.get("remote_group", ""),
    }


def mixture(groups: list[Group]) -> str:
    """Return what is wrong with groups that one port has together, or an empty string."""
    names = {kind: [one["name"] for one in groups if one["stateful"] is kind] for kind in (True, False)}
    if names[True] and names[False]:
        return f"has {quoted(names[True][0])}, which is stateful, and {quoted(names[False][0])}, which is not: take one"
    return ""


def lets_in(groups: list[Group], protocol: str, port: int) -> bool:
    """Say whether a rule lets somebody from outside the groups reach a port of the guest."""
    return any(admits(rule, protocol, port) for group in groups for rule in group["rules"])


def admits(rule: Rule, protocol: str, port: int) -> bool:
    """Say whether a rule lets a range reach a port of the guest."""
    if rule["direction"] != "ingress" or rule["remote_group"] or rule["protocol"] not in ("any", protocol):
        return False
    first, _dash, last = (rule["ports"] or "1-65535").partition("-")
    return int(first) <= port <= int(last or first)


def pair_problems(pairs: list[dict[str, str]], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the address pairs of a port."""
    for index, pair in enumerate(pairs):
        text = pair["ip_address"]
        if address(text) is None and subnet(text) is None:
            says = f"is {quoted(text)}: it must be an address such as 10.0.0.250 or a range such as 10.244.0.0/16"
            yield Problem((*path, index, "ip_address"), says)


def whole_pair(pair: dict[str, str]) -> dict[str, str]:
    """Return the pair with its range as nftables has it; without a MAC it goes with the port's own."""
    found = address(pair["ip_address"]) or subnet(pair["ip_address"])
    return {"ip_address": str(found), "mac_address": pair.get("mac_address", "").lower()}
