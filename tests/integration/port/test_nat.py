# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of a nat network and the world outside its host, which is another network namespace."""

from __future__ import annotations

import subprocess

import pytest
from frames import BROADCAST, arp, echo, ethernet, in_ip4
from guest import Guest

OUTSIDE, HOST, FURTHER = "172.29.200.1", "172.29.200.2", "172.29.201.1"


@pytest.fixture
def outside(node, shell):
    """A router behind the host's uplink, which does not know the addresses of our guests."""
    with subprocess.Popen(["unshare", "-n", "sleep", "60"]) as process:
        inside = f"nsenter -t {process.pid} -n"
        shell(f"sleep 0.2; ip link add vfnup type veth peer name vfnout; ip link set vfnout netns {process.pid}")
        shell(f"ip addr add {HOST}/24 dev vfnup; ip link set vfnup up; ip route add default via {OUTSIDE}")
        shell(f"{inside} sh -c 'ip link set lo up; ip addr add {OUTSIDE}/24 dev vfnout; ip link set vfnout up'")
        shell(f"{inside} ip addr add {FURTHER}/32 dev lo")
        yield lambda command: shell(f"{inside} {command}")
        process.kill()


def ready(node, record, **more):
    node.plug(record)
    port = record["ports"][0]
    with open("/sys/class/net/vfnbr0/address") as file:
        bridge = file.read().strip()
    guest, address = Guest(port["tap"]), port["addresses"][0]["address"]
    guest.send(ethernet(port["mac"], BROADCAST, 0x0806, arp(1, port["mac"], address, "00:" * 5 + "00", "172.29.0.1")))
    guest.frames(lambda got: got[12:14] == b"\x08\x06", 2)

    class Me:
        mac, ip = port["mac"], address

    return guest, Me, bridge


def pinged(guest, me, bridge, target, seconds=2.0):
    guest.send(in_ip4(me, echo(), target=target, protocol=1, to=bridge))
    got = guest.frames(lambda one: one[12:14] == b"\x08\0" and one[23] == 1, seconds)
    return bool(got) and got[-1].endswith(b"virtfleet") and got[-1][34] == 0


def test_a_guest_reaches_the_outside_masqueraded(node, record, outside, shell):
    shell("ip addr add 172.29.199.1/32 dev lo")
    guest, me, bridge = ready(node, record(1))
    assert pinged(guest, me, bridge, FURTHER), "the answer would not come if the router saw the guest's address"
    assert shell("cat /proc/sys/net/ipv4/conf/vfnup/forwarding") == "1\n"
    guest.close()


def test_the_outside_cannot_start_a_connection_to_a_guest(node, record, outside):
    outside("ip route add 172.29.0.0/24 via " + HOST)
    guest, me = ready(node, record(1))[:2]
    guest.drain()
    with pytest.raises(subprocess.CalledProcessError):
        outside("busybox ping -c 1 -W 1 " + me.ip)
    assert not [one for one in guest.frames(lambda got: False, 0.2) if one[12:14] == b"\x08\0"]
    guest.close()


def test_guests_of_two_nat_networks_do_not_reach_each_other(node, record, outside):
    other = record(2, bridge="vfnbr1", net=1)
    node.plug(other)
    guest, me, bridge = ready(node, record(1))
    victim = Guest(other["ports"][0]["tap"])
    assert not pinged(guest, me, bridge, other["ports"][0]["addresses"][0]["address"], 0.3)
    assert not [one for one in victim.frames(lambda got: False, 0.1) if one[12:14] == b"\x08\0"]
    assert pinged(guest, me, bridge, FURTHER), "the same guest does reach the outside"


def test_a_forward_policy_of_others_is_told(node, record, shell):
    from ansible_collections.virtfleet.compute.plugins.module_utils._network import plug

    hook = "{ type filter hook forward priority 0; policy drop; }"
    shell(f"nft add table ip filter; nft 'add chain ip filter FORWARD {hook}'")
    (warning,) = plug.warnings(node.plug(record(1)))
    assert warning.startswith("ip filter FORWARD drops what is forwarded by default: guests on vfnbr0")
    assert plug.warnings(node.plug(record(1))) == []
