# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that are made ahead of their ports, and deleted: real bridges, by what the module `networks` does."""

from __future__ import annotations

import os

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._bulk import each
from ansible_collections.virtfleet.compute.plugins.module_utils._model.trace import Place
from ansible_collections.virtfleet.compute.plugins.module_utils._network import kept, links, saved, traces
from ansible_collections.virtfleet.compute.plugins.module_utils._network.host import read
from ansible_collections.virtfleet.compute.plugins.module_utils._network.stray import stray

LAN = {
    "name": "lan",
    "type": "nat",
    "bridge": "vfnbr0",
    "mtu": 1500,
    "subnets": [{"cidr": "172.29.0.0/24", "gateway": "172.29.0.1", "pool": []}],
}
RED = {"name": "red", "type": "vxlan", "vni": 100, "bridge": "vfnred", "mtu": 1450, "subnets": []}
HERE = "10.99.0.1"


@pytest.fixture
def do(node, shell):
    """Make or delete networks as the module does."""
    shell(f"ip link add vfnup type veth peer name vfnfar; ip addr add {HERE}/24 dev vfnup; ip link set vfnup up")
    with_check = {"make": kept.plan, "delete": kept.plan_removal}
    changing = {"make": kept.provide, "delete": kept.withdraw}

    def run(verb, *networks, check_mode=False):
        with saved.lock(node.host.run_dir):
            world = read(node.host)
            if check_mode:
                return each(networks, lambda one: with_check[verb](world, one, HERE))
            return each(networks, lambda one: changing[verb](node.host, world, one, HERE))

    return run


def place(node):
    return Place(state_dir=node.host.state_dir, run_dir=node.host.run_dir)


def test_twelve_steps(node, do):
    def steps(verb):
        planned = [one.changed for one in do(verb, LAN, RED, check_mode=True)]
        there = links.exists("vfnbr0"), links.exists("vfx-100")
        done = [one.changed for one in do(verb, LAN, RED)]
        again = [one.changed for one in do(verb, LAN, RED)]
        return planned, there, done, again

    assert steps("make") == ([True, True], (False, False), [True, True], [False, False])
    assert links.exists("vfnbr0") and links.master_of("vfx-100") == "vfnred"
    assert not any(stray(node.world(), []).values())
    assert steps("delete") == ([True, True], (True, True), [True, True], [False, False])
    assert links.ours() == {} and os.listdir(saved.folder(node.host.state_dir, saved.NETWORKS)) == []


def test_a_network_that_was_changed_or_broken_is_made_again(do, shell):
    do("make", LAN)
    (outcome,) = do("make", {**LAN, "mtu": 1400})
    assert outcome.changed and shell("cat /sys/class/net/vfnbr0/mtu").strip() == "1400"
    shell("ip link delete vfnbr0")
    assert [one.changed for one in do("make", {**LAN, "mtu": 1400})] == [True]
    assert "172.29.0.1/24" in shell("ip address show dev vfnbr0")


def test_the_last_port_leaves_a_network_that_was_made_ahead(node, do, record):
    do("make", RED)
    guest = record(1, "vfnred", type="vxlan", vni=100, mtu=1450, network="red")
    assert [one.error for one in node.plug(guest, host_ip=HERE)] == [""]
    node.unplug(guest)
    assert links.exists("vfnred") and links.exists("vfx-100")
    assert traces.find_bridges(place(node)) == []
    do("delete", RED)
    assert links.ours() == {}


def test_a_network_in_use_is_refused_by_name(node, do, record):
    node.plug(record(1), record(2))
    refused, gone = do("delete", LAN, RED)
    assert refused.error == "network 'lan' is used by vfn-1, vfn-2 on this host: delete them first"
    assert not gone.error and links.exists("vfnbr0")
    node.unplug(record(1), record(2))
    assert [one.error for one in do("delete", LAN)] == [""], "also a bridge that a port made"
    assert not links.exists("vfnbr0")


def test_a_stranger_in_the_bridge_keeps_it(do, shell):
    do("make", LAN)
    shell("ip link add vfnx type veth peer name vfny; ip link set vfnx master vfnbr0")
    assert do("delete", LAN)[0].error == "bridge vfnbr0 of network 'lan' has vfnx: take it out"


def test_what_fails_leaves_nothing_and_stops_no_other(node, do, shell):
    shell("ip link add vfnbr0 type bridge; ip link set vfnbr0 up")
    bad = {**RED, "name": "big", "vni": 7, "bridge": "vfnbig", "mtu": 9000}
    gone = {"name": "away", "type": "bridge", "bridge": "vfnnone", "mtu": 1500, "subnets": []}
    outcomes = do("make", LAN, RED, bad, gone)
    assert "vfnbr0 is already on this host and not ours" in outcomes[0].error
    assert [bool(one.error) for one in outcomes] == [True, False, True, True]
    assert sorted(links.ours()) == ["vfnred", "vfx-100"] and len(node.world().kept) == 1
