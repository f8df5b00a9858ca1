# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges that we make, with an interface of the host in them, and VLANs where the kernel has them (make vlan-test)."""

from __future__ import annotations

import os

import pytest
from machine import Machine

from ansible_collections.virtfleet.compute.plugins.module_utils._network import links, nft
from ansible_collections.virtfleet.compute.plugins.module_utils._network.stray import stray

VLANS = pytest.mark.skipif(not os.path.isdir("/proc/net/vlan"), reason="this kernel has no VLANs: make vlan-test")
NO_VLANS = pytest.mark.skipif(os.path.isdir("/proc/net/vlan"), reason="this kernel has VLANs")
DONE, SAME = (True, ""), (False, "")


def told(outcomes):
    return [(one.changed, one.error) for one in outcomes]


def tap(record):
    return record["ports"][0]["tap"]


@pytest.fixture
def wire(node, shell):
    """An interface of the host, vfnp0, and the far end of its cable in a network namespace of its own."""
    shell("ip netns add vfnfar; ip link add vfnp0 type veth peer name far netns vfnfar; ip link set vfnp0 up")
    shell("ip -n vfnfar link set far up; ip -n vfnfar address add 172.29.0.99/24 dev far")
    yield
    shell("ip netns delete vfnfar")


def made(record, number, **port):
    return record(number, **{"bridge": "vfnbr7", "type": "bridge", "subnets": [], "create": True, **port})


def test_a_bridge_of_ours_comes_with_the_first_port_and_goes_with_the_last(node, record):
    web, db = made(record, 1), made(record, 2)
    assert told(node.plug(web, check_mode=True)) == [DONE] and not links.exists("vfnbr7")
    assert told(node.plug(web, db)) == [DONE, DONE] and told(node.plug(web, db)) == [SAME, SAME]
    assert links.attribute("vfnbr7", "ifalias") == "virtfleet:bridge:"
    node.unplug(web)
    assert links.exists("vfnbr7")
    node.unplug(db)
    assert not links.exists("vfnbr7") and stray(node.world())["bridges"] == []


def test_an_interface_of_the_host_is_put_into_it_and_stays_when_it_goes(node, record, shell, wire):
    web = made(record, 1, physical="vfnp0")
    assert told(node.plug(web)) == [DONE] and told(node.plug(web)) == [SAME]
    assert links.master_of("vfnp0") == "vfnbr7"
    guest = Machine(web)
    try:
        assert guest.pings("172.29.0.99", count=3)
    finally:
        guest.close()
    shell("ip link set vfnp0 nomaster")
    assert told(node.plug(web, check_mode=True)) == [DONE]
    assert told(node.plug(web)) == [DONE] and links.master_of("vfnp0") == "vfnbr7"
    node.unplug(web)
    assert not links.exists("vfnbr7") and links.exists("vfnp0") and links.master_of("vfnp0") == ""


def test_refusals_name_the_thing_and_the_way_out(node, record, shell, wire):
    shell(
        "ip link add vfnbr9 type bridge; ip link add vfnp1 type veth peer name vfnp2; ip link set vfnp1 master vfnbr9"
    )
    shell("ip address add 192.0.2.1/24 dev vfnp2")
    cases = [
        ("vfnno", 1500, "interface vfnno of network 'lan' does not exist on this host"),
        ("vfnp2", 1500, "has 192.0.2.1/24, which this host would lose"),
        ("vfnp1", 1500, "is in bridge vfnbr9 already"),
        ("vfnp0", 9000, "mtu 9000 of network 'lan' is more than the 1500 of vfnp0"),
    ]
    for number, (physical, mtu, words) in enumerate(cases):
        assert words in node.plug(made(record, number, physical=physical, mtu=mtu))[0].error
    assert not links.exists("vfnbr7")


@NO_VLANS
def test_a_kernel_without_vlans_says_so(node, record, shell, wire):
    outcome = node.plug(made(record, 1, physical="vfnp0", segmentation_id=10))[0]
    assert "cannot plug vfnp0.10" in outcome.error and "no VLAN links (8021q)" in outcome.error
    assert not links.exists("vfnbr7"), "what was made is undone"
    shell("ip link add vfnbr5 type bridge; ip link set vfnbr5 up")
    outcome = node.plug(made(record, 1, bridge="vfnbr5", create=False, segmentation_id=10))[0]
    assert "segmentation_id 10 and the kernel of this host has no bridges that filter VLANs" in outcome.error


@VLANS
def test_each_vlan_of_an_interface_is_a_network_of_its_own(node, record, shell, wire):
    """Two tenants with the same address, each on its VLAN; the far end of the cable is on one of them."""
    shell("ip -n vfnfar link add link far name far.10 type vlan id 10; ip -n vfnfar link set far.10 up")
    shell("ip -n vfnfar address add 172.29.0.98/24 dev far.10; ip -n vfnfar address flush dev far")
    groups = {"security_groups": [{"name": "ping", "rules": [{"protocol": "icmp"}, {"direction": "egress"}]}]}
    ten = made(record, 1, physical="vfnp0", segmentation_id=10, **groups)
    twenty = made(record, 1, physical="vfnp0", segmentation_id=20, bridge="vfnbr8", **groups)
    twenty["name"], twenty["uuid"] = "vfn-t", ten["uuid"].replace("-5", "-6", 1)
    assert told(node.plug(ten, twenty)) == [DONE, DONE] and told(node.plug(ten, twenty)) == [SAME, SAME]
    guests = [Machine(ten), Machine(twenty)]
    try:
        assert guests[0].pings("172.29.0.98", count=3) and not guests[1].pings("172.29.0.98")
    finally:
        for one in guests:
            one.close()
    assert links.kind_of("vfnp0.10") == "vlan" and nft.tracks_bridges() == ("vfnp0.10" in nft.listing())
    node.unplug(ten, twenty)
    assert not [name for name in ("vfnbr7", "vfnbr8", "vfnp0.10", "vfnp0.20") if links.exists(name)]
    assert links.exists("vfnp0")


@VLANS
def test_ports_of_a_bridge_that_filters_vlans_are_access_ports(node, record, shell):
    shell("ip link add vfnbr5 type bridge; ip link set vfnbr5 up")
    tagged = {"bridge": "vfnbr5", "create": False}
    records = [made(record, number, **tagged, segmentation_id=vlan) for number, vlan in ((1, 10), (2, 10), (3, 20))]
    assert "does not filter VLANs: ip link set vfnbr5 type bridge vlan_filtering 1" in node.plug(records[0])[0].error
    shell("ip link set vfnbr5 type bridge vlan_filtering 1")
    assert told(node.plug(*records)) == [DONE] * 3 and told(node.plug(*records)) == [SAME] * 3
    assert [links.vlan_of(tap(one)) for one in records] == [10, 10, 20]
    guests = [Machine(one) for one in records]
    try:
        assert guests[0].pings(guests[1].ip, count=3) and not guests[0].pings(guests[2].ip)
        moved = made(record, 3, **tagged, segmentation_id=10)
        assert told(node.plug(moved)) == [DONE] and told(node.plug(moved)) == [SAME]
        assert guests[0].pings(guests[2].ip, count=3), "another VLAN, while it runs"
    finally:
        for one in guests:
            one.close()
    shell(f"bridge vlan add dev {tap(records[0])} vid 30")
    assert told(node.plug(records[0], check_mode=True)) == [DONE]
    assert told(node.plug(records[0])) == [DONE] and links.vlan_of(tap(records[0])) == 10
    assert told(node.unplug(*records)) == [DONE] * 3 and links.exists("vfnbr5")


@VLANS
def test_this_kernel_tracks_the_connections_of_bridges():
    assert nft.tracks_bridges()
