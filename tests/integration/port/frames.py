# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet frames as bytes, with right checksums: what a guest sends, and what a hostile one would."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

BROADCAST = "ff:ff:ff:ff:ff:ff"
STRANGER = "52:54:00:99:99:99"


@dataclass(frozen=True)
class Station:
    """Somebody on the network."""

    mac: str
    ip: str
    ip6: str


def mac(text):
    return bytes(int(octet, 16) for octet in text.split(":"))


def ip(text):
    return ipaddress.ip_address(text).packed


def checksum(content):
    content += b"\0" * (len(content) % 2)
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(source, target, kind, payload):
    return mac(target) + mac(source) + struct.pack("!H", kind) + payload


def ipv4(source, target, protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0, ip(source), ip(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source, target, header, payload, hops=255):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), header, hops, ip(source), ip(target)) + payload


def udp(sport, dport, payload=b"virtfleet"):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def echo(kind=8, payload=b"virtfleet"):
    message = struct.pack("!BBHHH", kind, 0, 0, 7, 1) + payload
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def icmp6(source, target, kind, rest):
    message = struct.pack("!BBH", kind, 0, 0) + rest
    pseudo = ip(source) + ip(target) + struct.pack("!II", len(message), 58)
    return message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]


def arp(operation, sender_mac, sender_ip, target_mac, target_ip):
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + mac(sender_mac) + ip(sender_ip) + mac(target_mac) + ip(target_ip)


def in_ip4(me, payload, source=None, target="255.255.255.255", protocol=17, to=BROADCAST, source_mac=None):
    return ethernet(source_mac or me.mac, to, 0x0800, ipv4(source or me.ip, target, protocol, payload))


def in_icmp6(me, kind, rest, source=None, target="ff02::1"):
    source = source or me.ip6
    packet = ipv6(source, target, 58, icmp6(source, target, kind, rest))
    return ethernet(me.mac, "33:33:00:00:00:01", 0x86DD, packet)


def neighbour(address):
    return b"\0" * 4 + ip(address)


def honest(me, peer, gateway):
    """Return the frames of a guest that behaves, by name."""
    return {
        "ping": in_ip4(me, echo(), target=peer.ip, protocol=1, to=peer.mac),
        "ARP request": ethernet(me.mac, BROADCAST, 0x0806, arp(1, me.mac, me.ip, "00:" * 5 + "00", peer.ip)),
        "ARP reply": ethernet(me.mac, peer.mac, 0x0806, arp(2, me.mac, me.ip, peer.mac, peer.ip)),
        "ARP probe": ethernet(me.mac, BROADCAST, 0x0806, arp(1, me.mac, "0.0.0.0", "00:" * 5 + "00", me.ip)),
        "DHCP discover": in_ip4(me, udp(68, 67), source="0.0.0.0"),
        "NS": in_icmp6(me, 135, neighbour(peer.ip6)),
        "NA": in_icmp6(me, 136, neighbour(me.ip6)),
        "DAD": in_icmp6(me, 135, neighbour(me.ip6), source="::"),
        "RS": in_icmp6(me, 133, b"\0" * 4, source="::"),
        "MLDv2 report": in_icmp6(me, 143, b"\0" * 4, source="::"),
        "IPv6 ping": in_icmp6(me, 128, b"\0\7\0\1virtfleet", target=peer.ip6),
        "RARP announce": ethernet(me.mac, BROADCAST, 0x8035, arp(3, me.mac, "0.0.0.0", me.mac, "0.0.0.0")),
    }


def hostile(me, peer, gateway):
    """Return the frames of a guest that pretends to be somebody or something else, by name."""
    none = "00:00:00:00:00:00"
    advert = icmp6(me.ip6, "ff02::1", 134, b"\x40\0\7\x08" + b"\0" * 8)
    tag = struct.pack("!HH", 0x8100, 10)
    honest_ping = in_ip4(me, echo(), target=peer.ip, protocol=1)
    bpdu = struct.pack("!H", 38) + b"\x42\x42\x03" + b"\0" * 35
    return {
        "MAC spoof": in_ip4(me, echo(), target=peer.ip, protocol=1, source_mac=STRANGER),
        "IP spoof": in_ip4(me, echo(), source=gateway.ip, target=peer.ip, protocol=1),
        "IP spoof of a DHCP source": in_ip4(me, udp(5000, 5001), source="0.0.0.0"),
        "ARP reply for the gateway": ethernet(me.mac, BROADCAST, 0x0806, arp(2, me.mac, gateway.ip, peer.mac, peer.ip)),
        "gratuitous ARP for the gateway": ethernet(
            me.mac, BROADCAST, 0x0806, arp(1, me.mac, gateway.ip, none, gateway.ip)
        ),
        "ARP with another sender MAC": ethernet(me.mac, BROADCAST, 0x0806, arp(2, STRANGER, me.ip, peer.mac, peer.ip)),
        "ARP probe for the peer": ethernet(me.mac, BROADCAST, 0x0806, arp(1, me.mac, "0.0.0.0", none, peer.ip)),
        "DHCP offer": in_ip4(me, udp(67, 68)),
        "DHCPv6 reply": ethernet(me.mac, "33:33:00:00:00:01", 0x86DD, ipv6(me.ip6, "ff02::1", 17, udp(547, 546))),
        "RA": in_icmp6(me, 134, b"\x40\0\7\x08" + b"\0" * 8),
        "RA behind destination options": ethernet(
            me.mac,
            "33:33:00:00:00:01",
            0x86DD,
            ipv6(me.ip6, "ff02::1", 60, b"\x3a\0\1\4\0\0\0\0" + advert),
        ),
        "ICMPv6 redirect": in_icmp6(me, 137, b"\0" * 36),
        "NA for the gateway": in_icmp6(me, 136, neighbour(gateway.ip6)),
        "DAD for the peer": in_icmp6(me, 135, neighbour(peer.ip6), source="::"),
        "IPv6 source spoof": in_icmp6(me, 128, b"\0\7\0\1virtfleet", source="fe80::1234", target=peer.ip6),
        "802.1Q tag": honest_ping[:12] + tag + honest_ping[12:],
        "spanning tree": mac("01:80:c2:00:00:00") + mac(me.mac) + bpdu,
        "another ethertype": ethernet(me.mac, BROADCAST, 0x88B5, b"virtfleet"),
    }
