# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables ruleset of a host, as text, from its saved ports. Pure: the same ports give the same bytes. Private.

One transaction replaces our tables and nothing else, or (delta.py) only what a few ports change in them. A port adds
elements to sets and maps and never a rule (but for address pairs that are ranges), so a frame costs the same few
lookups with one port and with five hundred.

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
from .nftext import Element, chain, fresh, held
from .port import Port, link_local

GUARD = groups.GUARD
NAT = "virtfleet_nat"

GUESTS = (f"bridge {GUARD}", "map", "guests", "type ifname : verdict")
MACS = (f"bridge {GUARD}", "set", "macs", "type ifname . ether_addr")
ADDRESSES = {
    version: (f"bridge {GUARD}", "set", f"addresses{version}", f"type ifname . ether_addr . ipv{version}_addr")
    for version in (4, 6)
}
TARGETS = (f"bridge {GUARD}", "set", "targets", "typeof iifname . @th,64,128")
GUARD_HOLDERS = (GUESTS, MACS, ADDRESSES[4], ADDRESSES[6], TARGETS)
INSIDE = (f"ip {NAT}", "set", "inside", "type ipv4_addr; flags interval; auto-merge")
BRIDGES = (f"ip {NAT}", "set", "bridges", "type ifname")
WITHIN = (f"ip {NAT}", "set", "within", "type ifname . ifname")
FLOATING_IN, FLOATING_OUT = (
    (f"ip {NAT}", "map", f"floating_{way}", "type ipv4_addr : ipv4_addr") for way in ("in", "out")
)
FLOATING_HOLDERS = (FLOATING_IN, FLOATING_OUT)
NAT_HOLDERS = (INSIDE, BRIDGES, WITHIN)

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
    chain outside {{
        type nat hook postrouting priority srcnat; policy accept;
        ip daddr {{ 224.0.0.0/24, 255.255.255.255 }} accept
{outward}        ip saddr @inside oifname != @bridges masquerade
    }}
{inward}    chain between {{
        type filter hook forward priority filter; policy accept;
        oifname != @bridges accept
        ct state established,related{translated} accept
        iifname . oifname @within accept
        drop
    }}
"""
# An address that others reach a guest at is translated for what comes, from wherever, and for what the guest sends out.
FLOATING = {
    "outward": "        oifname != @bridges snat to ip saddr map @floating_out\n",
    "inward": """\
    chain inward {
        type nat hook prerouting priority dstnat; policy accept;
        dnat to ip daddr map @floating_in
    }
    chain inward_own {
        type nat hook output priority -100; policy accept;
        dnat to ip daddr map @floating_in
    }
""",
    "translated": " accept\n        ct status dnat",
}


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


def guard_elements(port: Port) -> list[Element]:
    """Return what the port adds to the sets that the guard chains look into."""
    tap = f'"{port.tap}"'
    found = [(GUESTS, f"{tap} : {verdict(port)}")]
    if not port.port_security:
        return found
    found += [(MACS, f"{tap} . {mac}") for mac in (port.mac, *(one for one, _net in pairs_of(port)))]
    for mac, address in own_addresses(port) if port.addresses else ():
        found.append((ADDRESSES[address.version], f"{tap} . {mac} . {address}"))
        if address.version == 6:
            found.append((TARGETS, f"{tap} . {int(address):#034x}"))
    return found


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


@functools.lru_cache(maxsize=4096)
def network_of(gateway: str) -> str:
    """Return the network that a gateway with prefix is in."""
    return str(ipaddress.ip_interface(gateway).network)


def nat_elements(port: Port) -> list[Element]:
    """Return what the port adds to the sets that the masquerade looks into; ports of a network add the same."""
    if not port.routed:
        return []
    bridge = f'"{port.bridge}"'
    inside = [(INSIDE, network_of(gateway)) for gateway in port.gateways]
    return [*inside, (BRIDGES, bridge), (WITHIN, f"{bridge} . {bridge}")]


def nat_body(ports: list[Port], inside: list[Element]) -> str:
    """Return the table of what is routed; its chains for floating addresses only where there are any."""
    floating = any(port.floating for port in ports)
    holders = (*NAT_HOLDERS, *FLOATING_HOLDERS) if floating else NAT_HOLDERS
    words = FLOATING if floating else dict.fromkeys(FLOATING, "")
    return held(holders, inside) + NAT_CHAINS.format(**words)


def floating_elements(port: Port) -> list[Element]:
    """Return the two ways between the guest and the address that others reach it at."""
    own = next((one for one in port.addresses if ":" not in one), "")
    if not (port.floating and port.routed and own):
        return []
    return [(FLOATING_IN, f"{port.floating} : {own}"), (FLOATING_OUT, f"{own} : {port.floating}")]


def elements(port: Port, native: bool) -> list[Element]:
    """Return all that the port adds to sets and maps."""
    return [*guard_elements(port), *nat_elements(port), *floating_elements(port), *groups.elements(port, native)]


def text(ports: Iterable[Port], members: Mapping[str, Members] | None = None, native: bool = False) -> str:
    """Return the ruleset of a host with these ports, as one transaction for `nft -f`.

    `members` are those of the groups that rules name, `native` whether the kernel tracks connections of bridges itself.
    """
    ports = sorted(ports, key=lambda port: port.id)
    inside = [one for port in ports for one in elements(port, native)]
    guard = held(GUARD_HOLDERS, inside) + pair_chains(ports) + GUARD_CHAINS + dhcp.chains(ports) if ports else ""
    routed = any(port.routed for port in ports)
    return (
        fresh(f"bridge {GUARD}", guard + groups.body(ports, members or {}, native, inside))
        + fresh(f"ip {NAT}", nat_body(ports, inside) if routed else "")
        + fresh(f"inet {groups.STATE}", "" if native else groups.state_body(ports, inside))
    )
