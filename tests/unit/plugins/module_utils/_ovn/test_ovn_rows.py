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


def test_guests_ask_names_of_the_dhcp_server_only_where_nobody_else_is_named():
    named = {**NETWORKS["red"], "dns_domain": "red.example"}
    for dns, told in ((["9.9.9.9"], "{9.9.9.9}"), ([], "{10.7.0.254}")):
        (red,) = chosen({"red": {**named, "subnets": [{**named["subnets"][0], "dns": dns}]}})
        rows = by_key(network_rows(red))
        assert rows["dhcp/red/10.7.0.0/24"].columns["options"]["dns_server"] == told
        server = rows["server/red/10.7.0.0/24"].columns
        mac = rows["dhcp/red/10.7.0.0/24"].columns["options"]["server_mac"]
        assert server["type"] == "localport" and server["addresses"] == [f"{mac} 10.7.0.254"], "it answers ARP"


def test_a_router_of_another_name_has_the_same_macs():
    known = {one["network"]: one for one in chosen(NETWORKS)}
    edge, gate = (by_key(router_rows(name, ROUTER, known)) for name in ("edge", "gate"))
    for network in ("red", "out"):
        assert edge[f"leg/edge/{network}"].columns["mac"] == gate[f"leg/gate/{network}"].columns["mac"]
    assert edge["into/edge/out"].columns["options"]["nat-addresses"] == "router"


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


def test_limits_are_meters_of_the_switch_in_the_words_of_ovn():
    port = {**PORT, "qos": [{"max_kbps": 1000}, {"direction": "ingress", "max_kbps": 2000, "max_burst_kbps": 300}]}
    out, back = (by_key(ports.port_rows(RECORD, port, ""))[f"qos/p/{way}"] for way in ("egress", "ingress"))
    assert out.columns == {
        "direction": "from-lport",
        "priority": 1000,
        "match": 'inport == "p"',
        "bandwidth": {"rate": 1000, "burst": 800},
    }
    assert (back.columns["direction"], back.columns["match"]) == ("to-lport", 'outport == "p"')
    assert back.columns["bandwidth"] == {"rate": 2000, "burst": 300}
    assert out.parent == ("Logical_Switch", "network/red", "qos_rules") and out.owner == "port/p"


def there(rows):
    """Return the world as OVN has it once these rows are there: uuids, and parents that hold their rows."""
    world = World()
    for at, row in enumerate(rows):
        world.rows[(row.table, row.key)] = {"_uuid": f"u{at}", "external_ids": row.ids, **row.columns}
    for row in rows:
        if row.parent:
            table, key, name = row.parent
            world.rows[(table, key)].setdefault(name, []).append(world.rows[(row.table, row.key)]["_uuid"])
    return world


def whole_fleet():
    """Return what OVN has of a network with a router, and of a port with a floating address, a name and a limit."""
    known = {one["network"]: one for one in chosen(NETWORKS)}
    port = {**PORT, "floating_ip": "192.0.2.50", "dns_domain": "lab", "qos": [{"max_kbps": 1000}]}
    rows = [row for one in known.values() for row in network_rows(one)] + router_rows("edge", ROUTER, known)
    made = there([*rows, *ports.port_rows(RECORD, port, "edge")])
    for row in made.rows.values():  # what a port refers to is no part of its columns
        row.setdefault("dhcpv4_options", [])
    made.rows[("Logical_Switch_Port", "port/p")]["dhcpv4_options"] = made.rows[
        ("DHCP_Options", "dhcp/red/10.7.0.0/24")
    ]["_uuid"]
    return made, {**RECORD, "ports": [port]}


def test_a_router_under_another_name_takes_floating_addresses_over_and_the_old_one_goes():
    world, _record = whole_fleet()
    nat = world.rows[("NAT", "floating/p")]["_uuid"]
    params = {"instances": [], "networks": chosen(NETWORKS), "routers": {"gate": ROUTER}}
    whole, _none = apply.planned(world, params)
    moved = [
        one["mutations"] for one in whole.operations if one["op"] == "mutate" and ["uuid", nat] in one["mutations"][0]
    ]
    assert [one[0][:2] for one in moved] == [["nat", "delete"], ["nat", "insert"]]
    assert whole.after["router/edge"] is None and "network/red" not in whole.after
    for kept in (None, {"edge": ROUTER}):
        whole, _none = apply.planned(world, {**params, "routers": kept})
        assert not any(key.startswith(("router", "leg", "floating", "snat")) for key in whole.after), (
            "nothing is said of it"
        )
    whole, _none = apply.planned(world, {**params, "routers": {}})
    assert "router/edge" not in whole.after, "somebody's floating address is on it"
    whole, _none = apply.planned(world, {**params, "routers": {}, "networks": chosen(NETWORKS, "out")})
    assert "router/edge" not in whole.after, "one of its networks is somebody else's"
    for key in [("NAT", "floating/p"), ("QoS", "qos/p/egress")]:
        del world.rows[key]
    whole, _none = apply.planned(world, {**params, "routers": {}})
    assert whole.after["router/edge"] is None


def test_a_port_in_another_network_takes_its_name_and_its_limits_along():
    world, record = whole_fleet()
    blue = {**NETWORKS, "blue": {"type": "ovn", "subnets": [{"cidr": "10.9.0.0/24"}]}}
    routers = {"edge": {**ROUTER, "networks": ["red", "blue"]}}
    moved = {**record, "ports": [{**record["ports"][0], "network": "blue", "subnets": []}]}
    whole, (told,) = apply.planned(world, {"instances": [moved], "networks": chosen(blue), "routers": routers})
    assert not told.error
    for table, key, name in (("DNS", "dns/p", "dns_records"), ("QoS", "qos/p/egress", "qos_rules")):
        mine = ["uuid", world.rows[(table, key)]["_uuid"]]
        verbs = [step[1] for one in whole.operations for step in one.get("mutations", ()) if step[::2] == [name, mine]]
        assert verbs == ["delete", "insert"]


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


def test_a_floating_address_goes_from_one_to_another_in_one_transaction():
    """Whoever is named first; and not if the one that has it cannot be told."""
    world, record = whole_fleet()
    giver = {**record, "ports": [PORT]}
    port = {**PORT, "id": "q", "floating_ip": "192.0.2.50", "mac": "52:54:00:00:00:02"}
    taker = {**RECORD, "name": "web-2", "uuid": "u2", "ports": [port]}
    for many in ([giver, taker], [taker, giver]):
        params = {"instances": many, "networks": chosen(NETWORKS), "routers": {"edge": ROUTER}}
        whole, outcomes = apply.planned(world, params)
        assert [one.error for one in outcomes] == ["", ""] and all(one.changed for one in outcomes)
        assert whole.after["floating/p"] is None and whole.after["floating/q"]["external_ip"] == "192.0.2.50"
    bad = {**record, "ports": [{**PORT, "network": "blue", "floating_ip": "192.0.2.51"}]}
    whole, (refused, late) = apply.planned(world, {**params, "instances": [bad, taker]})
    assert "needs a router" in refused.error and "floating_ip 192.0.2.50 belongs to web-1" in late.error
    assert "floating/p" not in whole.after
    _whole, (late,) = apply.planned(world, {**params, "instances": [taker]})
    assert "floating_ip 192.0.2.50 belongs to web-1" in late.error


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
