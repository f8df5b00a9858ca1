# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of OVN, and the transaction that makes them."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.filter.ovn_mappings import ovn_mappings
from ansible_collections.virtfleet.compute.plugins.filter.ovn_records import ovn_records
from ansible_collections.virtfleet.compute.plugins.filter.ovn_routers import ovn_routers
from ansible_collections.virtfleet.compute.plugins.module_utils import _ovsdb as ovsdb
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn import apply, groups, ports
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn.networks import network_rows, router_rows
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn.plan import World, plan, world_of
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn.row import KEY, OWNER, Row, group_of, switch_of
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import security
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.networks import chosen

NETWORKS = {
    "red": {
        "type": "ovn",
        "dhcp": True,
        "subnets": [{"cidr": "10.7.0.0/24", "dns": ["9.9.9.9"], "routes": [{"to": "10.8.0.0/16", "via": "10.7.0.9"}]}],
    },
    "out": {"type": "ovn", "external": True, "bridge": "br-ex", "subnets": [{"cidr": "192.0.2.0/24"}]},
}
ROUTER = {"networks": ["red"], "external": "out", "external_ip": "192.0.2.9", "gateway_hosts": ["a", "b"]}
PORT = {
    "id": "p",
    "type": "ovn",
    "network": "red",
    "mac": "52:54:00:00:00:01",
    "addresses": [{"address": "10.7.0.10"}, {"address": "fd00::10"}],
    "subnets": [{"cidr": "10.7.0.0/24", "dhcp_server": "10.7.0.254"}],
    "security_groups": [{"name": "web", "stateful": True, "rules": []}],
    "allowed_address_pairs": [{"ip_address": "10.9.0.0/16", "mac_address": ""}, {"ip_address": "10.7.0.99/32"}],
}
RECORD = {"name": "web-1", "uuid": "u", "project": "default", "hostname": "web-1", "ports": [PORT]}


def by_key(rows):
    return {row.key: row for row in rows}


def test_a_network_is_a_switch_with_the_mtu_of_geneve():
    red, out = chosen(NETWORKS, "red,out")
    rows = by_key(network_rows(red))
    assert rows["network/red"].columns == {"name": switch_of("red")}
    assert rows["dhcp/red/10.7.0.0/24"].columns["options"] == {
        "server_id": "10.7.0.254",
        "server_mac": rows["dhcp/red/10.7.0.0/24"].columns["options"]["server_mac"],
        "lease_time": "86400",
        "mtu": "1442",
        "router": "10.7.0.1",
        "dns_server": "{9.9.9.9}",
        "classless_static_route": "{10.8.0.0/16,10.7.0.9, 0.0.0.0/0,10.7.0.1}",
    }
    assert by_key(network_rows(out))["out/out"].columns["options"] == {"network_name": switch_of("out")}


def test_a_router_goes_out_on_the_first_of_its_hosts():
    known = {one["network"]: one for one in chosen(NETWORKS)}
    rows = by_key(router_rows("edge", ROUTER, known))
    assert rows["leg/edge/red"].columns["networks"] == ["10.7.0.1/24"]
    assert rows["leg/edge/out"].columns["networks"] == ["192.0.2.9/24"]
    assert [rows[f"gateway/edge/{one}"].columns["priority"] for one in "ab"] == [100, 99]
    assert rows["snat/edge/10.7.0.0/24"].columns["external_ip"] == "192.0.2.9"
    assert rows["route/edge"].columns == {"ip_prefix": "0.0.0.0/0", "nexthop": "192.0.2.1"}
    assert not any(key.startswith("snat") for key in by_key(router_rows("edge", {**ROUTER, "snat": False}, known)))


@pytest.mark.parametrize(
    "rule,wanted",
    [
        ({}, ["ip4", "ip6"]),
        (
            {"protocol": "tcp", "ports": 443, "remote": "10.0.0.0/8"},
            ["ip4 && ip4.src == 10.0.0.0/8 && tcp && tcp.dst == 443"],
        ),
        (
            {"direction": "egress", "protocol": "udp", "ports": "53-54", "ethertype": "IPv6"},
            ["ip6 && udp && udp.dst >= 53 && udp.dst <= 54"],
        ),
        ({"protocol": "icmp", "icmp_type": 8, "icmp_code": 0}, ["ip4 && icmp4 && icmp4.type == 8 && icmp4.code == 0"]),
        ({"protocol": "icmpv6"}, ["ip6 && icmp6"]),
        ({"protocol": "gre", "ethertype": "IPv4"}, ["ip4 && ip.proto == 47"]),
        (
            {"protocol": "sctp", "remote_group": "web"},
            [f"ip{v} && ip{v}.src == ${group_of('default', 'web')}_ip{v} && sctp" for v in "46"],
        ),
    ],
)
def test_a_rule_in_the_words_of_ovn(rule, wanted):
    assert groups.matches("default", security.whole_rule(rule)) == wanted


def test_groups_of_two_projects_are_two_and_stateless_ones_say_so():
    assert group_of("a", "web") != group_of("b", "web")
    group = security.whole("raw", {"stateful": False, "rules": [{"protocol": "tcp"}]})
    assert {row.columns.get("action") for row in groups.group_rows("a", group)} == {None, "allow-stateless"}


def test_a_port_with_all_it_may_send_from():
    rows = by_key(ports.port_rows(RECORD, {**PORT, "floating_ip": "192.0.2.50", "dns_domain": "lab"}, "edge"))
    assert rows["port/p"].columns == {
        "name": "p",
        "addresses": ["52:54:00:00:00:01 10.7.0.10 fd00::10"],
        "port_security": [
            "52:54:00:00:00:01 10.7.0.10 fd00::10",
            "52:54:00:00:00:01 10.7.0.99",
            "52:54:00:00:00:01 10.9.0.0/16",
        ],
    }
    assert rows["port/p"].refers == {"dhcpv4_options": ("DHCP_Options", "dhcp/red/10.7.0.0/24")}
    assert rows["floating/p"].columns["logical_ip"] == "10.7.0.10"
    assert rows["dns/p"].columns["records"] == dict.fromkeys(("web-1", "web-1.lab"), "10.7.0.10 fd00::10")
    assert ports.groups_of(RECORD, PORT) == {"group//drop", "group/default/web"}
    open_port = {**PORT, "port_security": False, "addresses": []}
    assert ports.groups_of(RECORD, open_port) == set()
    (row,) = ports.port_rows(RECORD, open_port, "")
    assert row.columns["port_security"] == [] and row.columns["addresses"] == ["52:54:00:00:00:01", "unknown"]


def test_only_what_differs_is_in_the_transaction():
    row = Row("Logical_Switch", "network/red", "network/red", {"name": "s"})
    made = plan(World(), [row], ["network/red"], {})
    assert [one["op"] for one in made.operations] == ["insert"] and made.after == {"network/red": {"name": "s"}}
    there = {"_uuid": "1", "name": "s", "external_ids": {KEY: "network/red", OWNER: "network/red"}}
    world = world_of({"Logical_Switch": [there, {"_uuid": "2", "name": "theirs", "external_ids": {}}]})
    assert plan(world, [row], ["network/red"], {}).operations == []
    gone = plan(world, [], ["network/red"], {})
    assert gone.operations == [{"op": "delete", "table": "Logical_Switch", "where": [["_uuid", "==", ["uuid", "1"]]]}]
    assert plan(world, [], ["network/blue"], {}).operations == [], "what nobody spoke of stays"


def test_a_floating_address_without_a_router_is_refused():
    record = {**RECORD, "ports": [{**PORT, "floating_ip": "192.0.2.50"}]}
    params = {"instances": [record, {**RECORD, "name": "b"}], "networks": chosen(NETWORKS, "red"), "routers": {}}
    _whole, (refused, fine) = apply.planned(World(), params)
    assert refused.error.startswith("floating_ip 192.0.2.50 of network 'red' needs a router with an external network")
    assert not fine.error and fine.changed


def test_values_of_the_protocol():
    value = {"b": "2", "a": "1"}
    assert ovsdb.encoded(value) == ["map", [["a", "1"], ["b", "2"]]] and ovsdb.decoded(ovsdb.encoded(value)) == value
    assert ovsdb.decoded(["set", [["uuid", "y"], ["uuid", "x"]]]) == ["x", "y"] and ovsdb.decoded("one") == "one"


def test_filters():
    assert ovn_mappings(NETWORKS, {"edge": ROUTER}, "a") == f"{switch_of('out')}:br-ex"
    assert ovn_mappings(NETWORKS, {"edge": ROUTER}, "z") == "" and ovn_mappings({}, None, "a") == ""
    assert ovn_routers({"edge": ROUTER}) == {"edge": ROUTER}
    assert (
        ovn_routers({"edge": ROUTER}, [{"name": "red"}]) == {"edge": ROUTER} and ovn_routers({"edge": ROUTER}, []) == {}
    )
    new, old = {**RECORD, "host": "a", "todo": "create"}, {**RECORD, "host": "a", "todo": "none"}
    assert ovn_records([new, old], "present") == [new]
    failed = {**new, "failed": True, "undone": True}
    lost, deleted = {**new, "failed": True}, {"name": "d", "state": "absent"}
    stuck = {**deleted, "failed": True}
    others = [new, lost, {**failed, "existing": True}, stuck, {**deleted, "undone": False}]
    assert ovn_records([failed, deleted, *others], "absent") == [failed, deleted]
