# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of the catalogue by themselves."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.virtfleet.compute.plugins.filter.catalogue_networks import catalogue_networks
from ansible_collections.virtfleet.compute.plugins.filter.failures_by_host import failures_by_host
from ansible_collections.virtfleet.compute.plugins.filter.network_table import network_table
from ansible_collections.virtfleet.compute.plugins.filter.networks_in_use import networks_in_use
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.networks import free

NETWORKS = {
    "lan": {"type": "nat", "subnets": [{"cidr": "10.0.0.0/24", "pool": ["10.0.0.1-10.0.0.20"], "dns": ["10.0.0.5"]}]},
    "red": {"type": "vxlan", "vni": 7, "project": "web", "subnets": [{"cidr": "fd00::/64", "gateway": None}]},
    "wire": {"type": "bridge", "bridge": "br0"},
}


def instance(name, *addresses, network="lan"):
    ports = [{"network": network, "addresses": [{"address": one} for one in addresses]}]
    return {"name": name, "host": "kvm1", "record": {"ports": ports}}


def test_chosen_by_name_and_complete():
    found = catalogue_networks(NETWORKS, "red,lan")
    assert [(one["name"], one["bridge"], one["mtu"], one["project"]) for one in found] == [
        ("red", "vf-red", 1450, "web"),
        ("lan", "vf-lan", 1500, ""),
    ]
    assert len(catalogue_networks(NETWORKS)) == 3 and catalogue_networks(None) == []
    with pytest.raises(AnsibleFilterError, match="network 'dmz' is not in virtfleet_networks: there is lan, red, wire"):
        catalogue_networks(NETWORKS, "dmz")


def test_one_in_use_is_told_with_who_uses_it():
    lan, wire = networks_in_use(catalogue_networks(NETWORKS, "lan,wire"), [instance("b"), instance("a")])
    assert lan["failed"] and lan["msg"] == "network 'lan' is used by a on kvm1, b on kvm1: delete them first"
    assert not wire["failed"] and wire["users"] == []


def test_free_addresses_are_those_that_may_be_given():
    (lan,) = catalogue_networks(NETWORKS, "lan")
    assert free(lan, []) == {4: 18}, "20 without the gateway and the name server"
    assert free(lan, ["10.0.0.2", "10.0.0.99"]) == {4: 17}, "a fixed one may lie outside the pool"
    held = {**lan, "subnets": [{**lan["subnets"][0], "reserved": ["10.0.0.10-10.0.0.14"]}]}
    assert free(held, ["10.0.0.11", "10.0.0.2"]) == {4: 12}


def test_the_table():
    told = {"kvm1": [{"name": "lan", "stands": True}], "kvm2": [{"name": "lan", "stands": False}], "kvm3": []}
    users = [instance(f"web-{number}", f"10.0.0.{number + 5}") for number in range(1, 5)]
    lines = network_table(catalogue_networks(NETWORKS), users, told)
    assert [" ".join(line.split()) for line in lines] == [
        "NETWORK PROJECT TYPE SEGMENT MTU SUBNETS USED FREE HOSTS USED BY",
        "lan all nat - 1500 10.0.0.0/24 4 14 kvm1 web-1 on kvm1, web-2 on kvm1, web-3 on kvm1 and 1 more",
        "red web vxlan 7 1450 fd00::/64 0 plenty - -",
        "wire all bridge - 1500 - - - - -",
    ]


def test_what_failed_by_host():
    told = {"b": [{"failed": True, "msg": "no"}], "a": [{"failed": False, "msg": ""}, {"failed": True, "msg": "nor"}]}
    assert failures_by_host(told) == ["a: nor", "b: no"]
