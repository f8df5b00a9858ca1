# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables ruleset of a host, as text, from its saved ports. Pure: the same ports give the same bytes. Private.

One transaction replaces our tables and nothing else. A port adds elements to sets and maps and never a rule (but for
address pairs that are ranges), so a frame costs the same few lookups with one port and with five hundred.

Who may send what (nft evaluates `guests` by the tap a frame comes from; a tap that is not in it is not ours):

- port_security false: everything.
- with addresses (`guarded`): own MAC only; IPv4 from own addresses, and DHCP discovery from 0.0.0.0; ARP with own MAC
  and own address, and probes for own addresses (RFC 5227); IPv6 from own addresses and the EUI-64 link-local one,
  duplicate address detection and neighbour advertisements for these only; RARP, which QEMU sends after a migration.
- without addresses (`guarded_mac`): its address comes from a DHCP server that is not ours, so any IPv4 and IPv6 source
  is let through, but only from the own MAC, also inside ARP.
- none of the guarded: DHCP and DHCPv6 servers, router advertisements, redirects, VLAN tags, spanning tree and every
  other kind of frame.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from . import dhcp, groups
from .members import Members
from .nftext import chain, fresh, holder
from .port import Port, link_local

GUARD = "virtfleet"
NAT = "virtfleet_nat"

# nft 1.0.6 has no `icmpv6 taddr`: the target of a neighbour message is the 128 bits after 64 bits of ICMPv6 header.
GUARD_CHAINS = """\
    chain from_guest {
        type filter hook prerouting priority -300; policy accept;
        iifname vmap @guests
    }
    chain to_host {
        type filter hook input priority -300; policy accept;
        ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 iifname vmap @guests
    }
    chain guarded {
        iifname . ether saddr != @macs drop
        ether type vmap { ip : goto guard_ip, arp : goto guard_arp, ip6 : goto guard_ip6, 0x8035 : accept }
        drop
    }
    chain guard_ip {
        udp sport 67 udp dport 68 drop
        iifname . ether saddr . ip saddr @addresses4 accept
        ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
        jump pairs
        drop
    }
    chain guard_arp {
        arp htype != 1 drop
        arp ptype != ip drop
        arp hlen != 6 drop
        arp plen != 4 drop
        iifname . arp saddr ether != @macs drop
        iifname . arp saddr ether . arp saddr ip @addresses4 accept
        arp operation request arp saddr ip 0.0.0.0 iifname . ether saddr . arp daddr ip @addresses4 accept
        jump pairs_arp
        drop
    }
    chain guard_ip6 {
        icmpv6 type { nd-router-advert, nd-redirect } drop
        icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets jump pairs_advert
        udp sport 547 udp dport 546 drop
        iifname . ether saddr . ip6 saddr @addresses6 accept
        ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @targets accept
        ip6 saddr :: icmpv6 type { nd-router-solicit, mld-listener-report, mld2-listener-report } accept
        jump pairs
        drop
    }
    chain guarded_mac {
        iifname . ether saddr != @macs drop
        ether type vmap { ip : goto guard_ip_any, arp : goto guard_arp_any, ip6 : goto guard_ip6_any, 0x8035 : accept }
        drop
    }
    chain guard_ip_any {
        udp sport 67 udp dport 68 drop
        accept
    }
    chain guard_arp_any {
        arp htype 1 arp hlen 6 arp plen 4 iifname . arp saddr ether @macs accept
        drop
    }
    chain guard_ip6_any {
        icmpv6 type { nd-router-advert, nd-redirect } drop
        udp sport 547 udp dport 546 drop
        accept
    }
"""

# br_netfilter shows frames between two guests of one bridge to these chains too: `within` lets them pass.
NAT_CHAINS = """\
    chain outside {
        type nat hook postrouting priority srcnat; policy accept;
        ip daddr { 224.0.0.0/24, 255.255.255.255 } accept
        ip saddr @inside oifname != @bridges masquerade
    }
    chain between {
        type filter hook forward priority filter; policy accept;
        oifname != @bridges accept
        ct state established,related accept
        iifname . oifname @within accept
        drop
    }
"""


def verdict(port: Port) -> str:
    """Return what happens to the frames of a port."""
    if not port.port_security:
        return "accept"
    return "jump guarded" if port.addresses else "jump guarded_mac"


@functools.lru_cache(maxsize=4096)
def own_addresses(port: Port) -> list[tuple[str, Any]]:
    """Return the (MAC, address) that a port may send from: link-local ones and the pairs that are one address too."""
    pairs = pairs_of(port)
    single = [(mac, one.network_address) for mac, one in pairs if one.prefixlen == one.max_prefixlen]
    macs = dict.fromkeys([port.mac, *(mac for mac, _network in pairs)])
    own = [(port.mac, ipaddress.ip_address(address)) for address in port.addresses]
    return [*own, *single, *((mac, ipaddress.ip_address(link_local(mac))) for mac in macs)]


def pairs_of(port: Port) -> list[tuple[str, Any]]:
    """Return the allowed address pairs of a port, each (MAC, network)."""
    parts = [pair.partition(" ") for pair in port.pairs]
    return [(mac, ipaddress.ip_network(network)) for mac, _blank, network in parts]


def guard_sets(ports: list[Port]) -> str:
    """Return the sets that the guard chains look into."""
    guarded = [port for port in ports if port.port_security]
    own = [(port.tap, mac, address) for port in guarded for mac, address in own_addresses(port) if port.addresses]
    own4 = [f'"{tap}" . {mac} . {address}' for tap, mac, address in own if address.version == 4]
    own6 = [(tap, mac, address) for tap, mac, address in own if address.version == 6]
    macs = [f'"{port.tap}" . {mac}' for port in guarded for mac in (port.mac, *(one for one, _net in pairs_of(port)))]
    targets = [f'"{tap}" . {int(one):#034x}' for tap, _mac, one in own6]
    return (
        holder("map", "guests", "type ifname : verdict", (f'"{port.tap}" : {verdict(port)}' for port in ports))
        + holder("set", "macs", "type ifname . ether_addr", macs)
        + holder("set", "addresses4", "type ifname . ether_addr . ipv4_addr", own4)
        + holder(
            "set", "addresses6", "type ifname . ether_addr . ipv6_addr", (f'"{t}" . {m} . {a}' for t, m, a in own6)
        )
        + holder("set", "targets", "typeof iifname . @th,64,128", targets)
    )


def pair_chains(ports: list[Port]) -> str:
    """Return the chains of address pairs that are ranges: rare, so a rule each."""
    bodies: dict[str, list[str]] = {"pairs": [], "pairs_arp": [], "pairs_advert": []}
    guarded = [port for port in ports if port.port_security and port.addresses]
    for tap, mac, net in ((port.tap, mac, net) for port in guarded for mac, net in pairs_of(port)):
        if net.prefixlen == net.max_prefixlen:
            continue
        if net.version == 4:
            bodies["pairs"].append(f'iifname "{tap}" ether saddr {mac} ip saddr {net} accept')
            bodies["pairs_arp"].append(f'iifname "{tap}" arp saddr ether {mac} arp saddr ip {net} accept')
            continue
        bodies["pairs"].append(f'iifname "{tap}" ether saddr {mac} ip6 saddr {net} accept')
        target = f"@th,64,128 & {int(net.netmask):#034x} == {int(net.network_address):#034x}"
        bodies["pairs_advert"].append(f'iifname "{tap}" {target} return')
    bodies["pairs_advert"].append("drop")
    return "".join(chain(name, body) for name, body in bodies.items())


def nat_sets(ports: list[Port]) -> str:
    """Return the sets that the masquerade looks into."""
    inside = {str(ipaddress.ip_interface(gateway).network) for port in ports for gateway in port.gateways}
    bridges = {port.bridge for port in ports}
    return (
        holder("set", "inside", "type ipv4_addr; flags interval; auto-merge", inside)
        + holder("set", "bridges", "type ifname", (f'"{bridge}"' for bridge in bridges))
        + holder("set", "within", "type ifname . ifname", (f'"{bridge}" . "{bridge}"' for bridge in bridges))
    )


def text(ports: Iterable[Port], members: Mapping[str, Members] | None = None, native: bool = False) -> str:
    """Return the ruleset of a host with these ports, as one transaction for `nft -f`.

    `members` are those of the groups that rules name, `native` whether the kernel tracks connections of bridges itself.
    """
    ports = sorted(ports, key=lambda port: port.id)
    routed = [port for port in ports if port.type == "nat"]
    guard = guard_sets(ports) + pair_chains(ports) + GUARD_CHAINS + dhcp.chains(ports) if ports else ""
    state = "" if native else groups.state_body(ports)
    return (
        fresh(f"bridge {GUARD}", guard + groups.body(ports, members or {}, native))
        + fresh(f"ip {NAT}", nat_sets(routed) + NAT_CHAINS if routed else "")
        + fresh(f"inet {groups.STATE}", state)
    )
