# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest can send, proven with frames that another guest on the bridge sees or does not see."""

from __future__ import annotations

import time

import pytest
from frames import BROADCAST, Station, arp, echo, ethernet, honest, hostile, in_ip4, mac
from guest import Guest
from node import instance

from ansible_collections.virtfleet.compute.plugins.module_utils._network.port import link_local

# How long a frame may take, and how long we wait to be sure that it does not come.
COMES, STAYS_OUT = 2.0, 0.15
GATEWAY = Station("02:00:00:00:00:01", "172.29.0.1", "fe80::1")


def station(record):
    port = record["ports"][0]
    address = port["addresses"][0]["address"] if port["addresses"] else "172.29.0.77"
    return Station(port["mac"], address, link_local(port["mac"]))


RECORDS = {
    "guarded": instance(1),
    "open": instance(2, port_security=False),
    "unaddressed": instance(3, addresses=[]),
    "peer": instance(4),
}
WHO = {name: station(record) for name, record in RECORDS.items()}


@pytest.fixture(scope="module")
def guests(shared_node):
    outcomes = shared_node.plug(*RECORDS.values())
    assert [one.error for one in outcomes] == [""] * 4
    running = {name: Guest(record["ports"][0]["tap"]) for name, record in RECORDS.items()}
    yield running
    for guest in running.values():
        guest.close()


def sent(guests, sender, frame, seconds):
    guests[sender].send(frame)
    return guests["peer"].sees(frame, seconds)


@pytest.mark.parametrize("kind", honest(WHO["guarded"], WHO["peer"], GATEWAY))
def test_an_honest_frame_arrives(guests, kind):
    frame = honest(WHO["guarded"], WHO["peer"], GATEWAY)[kind]
    assert sent(guests, "guarded", frame, COMES)


@pytest.mark.parametrize("kind", hostile(WHO["guarded"], WHO["peer"], GATEWAY))
def test_a_hostile_frame_arrives_only_without_port_security(guests, kind):
    assert not sent(guests, "guarded", hostile(WHO["guarded"], WHO["peer"], GATEWAY)[kind], STAYS_OUT)
    assert sent(guests, "open", hostile(WHO["open"], WHO["peer"], GATEWAY)[kind], COMES), "the test could not fail"


@pytest.mark.parametrize("kind", honest(WHO["unaddressed"], WHO["peer"], GATEWAY))
def test_a_guest_without_known_addresses_can_use_any(guests, kind):
    assert sent(guests, "unaddressed", honest(WHO["unaddressed"], WHO["peer"], GATEWAY)[kind], COMES)


FREE = {
    "IP spoof",
    "IP spoof of a DHCP source",
    "ARP reply for the gateway",
    "gratuitous ARP for the gateway",
    "ARP probe for the peer",
    "NA for the gateway",
    "DAD for the peer",
    "IPv6 source spoof",
}


@pytest.mark.parametrize("kind", sorted(set(hostile(WHO["unaddressed"], WHO["peer"], GATEWAY)) - FREE))
def test_a_guest_without_known_addresses_is_still_nobody_else(guests, kind):
    assert not sent(guests, "unaddressed", hostile(WHO["unaddressed"], WHO["peer"], GATEWAY)[kind], STAYS_OUT)


def test_the_gateway_answers(guests):
    """The host itself: ARP and ping of the bridge's address."""
    me, guest = WHO["guarded"], guests["guarded"]
    guest.drain()
    guest.send(ethernet(me.mac, BROADCAST, 0x0806, arp(1, me.mac, me.ip, "00:00:00:00:00:00", GATEWAY.ip)))
    answer = guest.frames(lambda got: got[12:14] == b"\x08\x06" and got[20:22] == b"\0\2", COMES)[-1]
    bridge = ":".join(f"{octet:02x}" for octet in answer[22:28])
    guest.send(in_ip4(me, echo(), target=GATEWAY.ip, protocol=1, to=bridge))
    reply = guest.frames(lambda got: got[12:14] == b"\x08\0" and got[23] == 1, COMES)[-1]
    assert reply[34] == 0 and reply.endswith(b"virtfleet")


def test_the_host_does_not_learn_a_spoofed_neighbour(guests, shell):
    me, peer = WHO["guarded"], WHO["peer"]
    lie = arp(1, me.mac, peer.ip, "00:00:00:00:00:00", GATEWAY.ip)
    assert not sent(guests, "guarded", ethernet(me.mac, BROADCAST, 0x0806, lie), STAYS_OUT)
    assert me.mac not in shell(f"ip neigh show {peer.ip}")


def test_the_host_sends_a_new_guest_nothing_by_itself(shared_node):
    record = instance(5)
    shared_node.plug(record)
    guest = Guest(record["ports"][0]["tap"])
    try:
        assert not [frame.hex() for frame in guest.frames(lambda got: False, 1.5)]
    finally:
        guest.close()


@pytest.mark.parametrize("port_security", [True, False])
def test_a_guest_cannot_become_the_root_of_the_hosts_spanning_tree(node, shell, port_security):
    """Frames to 01:80:c2:00:00:0x go to a bridge that speaks STP, past prerouting."""
    shell("ip link add vfnbr6 type bridge stp_state 1 forward_delay 200; ip link set vfnbr6 up")
    record = instance(6, bridge="vfnbr6", type="bridge", port_security=port_security)
    node.plug(record)
    root = shell("cat /sys/class/net/vfnbr6/bridge/root_id")
    guest, me = Guest(record["ports"][0]["tap"]), station(record)
    me_first = b"\0\0" + mac(me.mac)
    bpdu = b"\x42\x42\x03" + b"\0" * 5 + me_first + b"\0" * 4 + me_first + b"\x80\1" + b"\0\0\x14\0\2\0\x0f\0"
    guest.send(mac("01:80:c2:00:00:00") + mac(me.mac) + len(bpdu).to_bytes(2, "big") + bpdu)
    time.sleep(0.1)
    assert (shell("cat /sys/class/net/vfnbr6/bridge/root_id") == root) is port_security
    guest.close()
