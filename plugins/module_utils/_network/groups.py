# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups as nftables text. Pure: the same ports and members give the same bytes. Private.

What a port lets pass is a chain for each direction, shared by all ports that let the same pass; a port adds an element
to a map. The chains hang in the bridge table, so what guests of one bridge send each other passes them too:

- out of a guest in prerouting, after the anti-spoofing (ruleset.py) and after the connection is known
- into a guest in postrouting, whoever sent it: another guest, the network or the host itself

Answers pass by the state of their connection. Kernels with nf_conntrack_bridge know it in the bridge table itself;
on others br_netfilter shows the frames to an inet table of ours, which leaves what it learns in a bit of the mark.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping

from . import bridge, nftext, vxlan
from .members import Members
from .nftext import Element, Holder, held, holder
from .port import Port
from .rules import PROTOCOLS, WITH_PORTS, Rule

GUARD = "virtfleet"
STATE = "virtfleet_state"
INWARD, OUTWARD = ((f"bridge {GUARD}", "map", name, "type ifname : verdict") for name in ("inward", "outward"))
STATEFUL = (f"inet {STATE}", "set", "bridges", "type ifname")
NATIVE_ZONES, ZONES = (
    (table, "map", "zones", "typeof iifname : ct zone") for table in (f"bridge {GUARD}", f"inet {STATE}")
)
# The bit of a frame's mark that says: it belongs to a connection that may be.
KNOWN = 0x20000000
# The bit of a connection's mark that says: it was let pass once and no longer is (flows.py).
CUT = 0x20000000

NATIVE = f"ct state established,related ct mark & {CUT:#x} == 0 accept"
MARKED = f"meta mark & {KNOWN:#x} == {KNOWN:#x} accept"

BASE_CHAINS = """\
    chain leave_guest {
        type filter hook prerouting priority 10; policy accept;
        iifname vmap @outward
    }
    chain to_guest {
        type filter hook postrouting priority 10; policy accept;
        oifname vmap @inward
    }
    chain always_out {
        ether type { arp, 0x8035 } accept
        icmpv6 type { 130, 131, 132, 143, nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
        udp sport 68 udp dport 67 accept
        udp sport 546 udp dport 547 accept
    }
    chain always_in {
        ether type { arp, 0x8035 } accept
        icmpv6 type { 130, 131, 132, 143, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
        udp sport 67 udp dport 68 accept
        udp sport 547 udp dport 546 accept
    }
"""

# Priority -150 is after conntrack (-200). The routed and the host's own frames have a bridge of ours as their way out.
STATE_CHAINS = f"""\
    chain bridged {{
        type filter hook prerouting priority -150; policy accept;
        iifname @bridges jump judge
    }}
    chain routed {{
        type filter hook forward priority -150; policy accept;
        oifname @bridges jump judge
    }}
    chain own {{
        type filter hook output priority -150; policy accept;
        oifname @bridges jump judge
    }}
    chain judge {{
        meta mark set meta mark & {~KNOWN & 0xFFFFFFFF:#x}
        ct state established,related ct mark & {CUT:#x} == 0 meta mark set meta mark | {KNOWN:#x}
    }}
"""


def set_name(key: str, version: int) -> str:
    """Return the name of the set of a group's members: group names may have any character."""
    return f"g{version}_{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def far_side(rule: Rule) -> list[tuple[int, str]]:
    """Return what the rule says of the other side, for each IP version that it is of; (0, "") for anything."""
    side = "saddr" if rule.direction == "ingress" else "daddr"
    versions = [rule.version] if rule.version else [4, 6]
    family = {4: "ip", 6: "ip6"}
    if rule.group:
        return [(one, f"{family[one]} {side} @{set_name(rule.group, one)}") for one in versions]
    if rule.remote:
        version = 6 if ":" in rule.remote else 4
        return [(version, f"{family[version]} {side} {rule.remote}")] if version in versions else []
    return [(rule.version, f"ether type {family[rule.version]}")] if rule.version else [(0, "")]


def what(rule: Rule, version: int, far: str) -> str:
    """Return what the rule says of the protocol."""
    if rule.protocol in ("icmp", "icmpv6"):
        names = {"icmp": "icmp", "icmpv6": "ipv6-icmp"}
        kind, code = rule.types
        told = f"{rule.protocol} type {kind}" if kind >= 0 else f"meta l4proto {names[rule.protocol]}"
        return told + (f" {rule.protocol} code {code}" if code >= 0 else "")
    if rule.protocol in WITH_PORTS and rule.ports != (0, 65535):
        first, last = rule.ports
        return f"{rule.protocol} dport {first}" + (f"-{last}" if last != first else "")
    if rule.protocol != "any":
        return f"meta l4proto {PROTOCOLS[rule.protocol]}"
    return "" if far else "ether type { ip, ip6 }"


def lines(rules: Iterable[Rule]) -> list[str]:
    """Return the rules of one direction as nftables has them."""
    found = []
    for rule in rules:
        for version, far in far_side(rule):
            if rule.protocol in ("icmp", "icmpv6") and version not in (0, 6 if rule.protocol == "icmpv6" else 4):
                continue
            if rule.protocol == "icmp" and not far:
                far = "ether type ip"
            found.append(" ".join(word for word in (far, what(rule, version, far), "accept") if word))
    return list(dict.fromkeys(found))


@functools.lru_cache(maxsize=4096)
def chain(rules: tuple[Rule, ...], stateful: bool, direction: str) -> tuple[str, list[str]]:
    """Return the name of the chain of what a port lets pass, which is that of its content, and the content."""
    body = lines(rule for rule in rules if rule.direction == direction)
    short = "in" if direction == "ingress" else "out"
    seed = "\n".join([str(stateful), *body])
    return f"{short}_{hashlib.sha256(seed.encode()).hexdigest()[:12]}", body


def filtered(ports: Iterable[Port]) -> list[Port]:
    """Return the ports that security groups are about."""
    return [port for port in ports if port.filtered]


def chains(port: Port, native: bool) -> dict[str, str]:
    """Return the chains that the maps send the frames of a port to, by name."""
    found = {}
    for direction in ("ingress", "egress") if port.filtered else ():
        name, rules = chain(port.rules, port.stateful, direction)
        state = [NATIVE if native else MARKED] if port.stateful else []
        common = "jump always_in" if direction == "ingress" else "jump always_out"
        found[name] = nftext.chain(name, [*state, common, *rules, "drop"])
    return found


def elements(port: Port, native: bool) -> list[Element]:
    """Return what the port adds to the maps and sets of the security groups."""
    if not port.filtered:
        return []
    ways = ((INWARD, "ingress"), (OUTWARD, "egress"))
    own = [(way, f'"{port.tap}" : goto {chain(port.rules, port.stateful, one)[0]}') for way, one in ways]
    zone = [(NATIVE_ZONES, f'"{port.tap}" : {port.zone}')] if native and port.zone and port.stateful else []
    return [*own, *zone, *shared_elements(port, native)]


def shared_elements(port: Port, native: bool) -> list[Element]:
    """Return what other ports may add to maps and sets, too."""
    if not port.filtered or not port.stateful:
        return []
    if native:
        way = vxlan.link_name(port) if port.vni else bridge.vlan_link(port)
        return [(NATIVE_ZONES, f'"{way}" : {port.zone}')] if port.zone else []
    zone = [(ZONES, f'"{port.bridge}" : {port.zone}')] if port.zone else []
    return [(STATEFUL, f'"{port.bridge}"'), *zone]


def body(ports: list[Port], members: Mapping[str, Members], native: bool, inside: list[Element]) -> str:
    """Return the sets and chains of the security groups in the bridge table, without ports nothing."""
    ports = filtered(ports)
    if not ports:
        return ""
    found: dict[str, str] = {}
    for port in ports:
        found.update(chains(port, native))
    return (
        "".join(group_set(key, version, members) for key in sorted(named(ports)) for version in (4, 6))
        + "".join(found[name] for name in sorted(found))
        + held((INWARD, OUTWARD), inside)
        + zone_chain(NATIVE_ZONES, inside)
        + BASE_CHAINS
    )


def named(ports: Iterable[Port]) -> set[str]:
    """Return the groups that rules name."""
    return {rule.group for port in ports for rule in port.rules if rule.group}


def group_set(key: str, version: int, members: Mapping[str, Members]) -> str:
    """Return the set of the members of a group."""
    kind = {4: "ipv4_addr", 6: "ipv6_addr"}[version]
    addresses = members.get(key, Members()).of_version(version)
    return holder("set", set_name(key, version), f"type {kind}; flags interval; auto-merge", addresses)


def state_body(ports: list[Port], inside: list[Element]) -> str:
    """Return the table that learns the state of connections where the bridge table cannot, without ports nothing."""
    if not any(port.stateful for port in filtered(ports)):
        return ""
    return held((STATEFUL,), inside) + zone_chain(ZONES, inside) + STATE_CHAINS


def zone_chain(zones: Holder, inside: list[Element]) -> str:
    """Return what gives the connections of each network that may share addresses with another a zone of their own."""
    if not any(one == zones for one, _element in inside):
        return ""
    rules = ["type filter hook prerouting priority -290; policy accept;", "ct zone set iifname map @zones"]
    return held((zones,), inside) + nftext.chain("zone", rules)
