# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a DHCP server, and who is told of which names."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import membership
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._network import dhcp, dnsmasq, port, standing
from ansible_collections.virtfleet.compute.plugins.module_utils._network.host import World
from ansible_collections.virtfleet.compute.plugins.module_utils._network.members import Members, told
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import catalogue

ID = "5f0c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a5b"


def record(hostname="web-1", **network):
    written = {
        "type": "vxlan",
        "vni": 7,
        "dhcp": True,
        "dns_domain": "lab.example",
        "subnets": [{"cidr": "10.7.0.0/24", "gateway": None, "routes": [{"to": "10.8.0.0/16", "via": "10.7.0.9"}]}],
        **network,
    }
    values = {"id": ID, "mac": "52:54:00:00:00:01", "addresses": [{"address": "10.7.0.10"}, {"address": "fd00::10"}]}
    ports = [{**catalogue.port_of_network("red", written), **values}]
    return {"name": hostname, "uuid": "u", "hostname": hostname, "ports": ports}


def files(given, known=()):
    return dhcp.files([port.from_record(given, 0)], dict(known), "/run/d", "dnsmasq")


def test_the_configuration():
    assert files(record())["conf"].splitlines()[1:] == [
        "port=53",
        "interface=eth0",
        "except-interface=lo",
        "bind-interfaces",
        "no-hosts",
        "no-resolv",
        "no-ping",
        "leasefile-ro",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        "user=dnsmasq",
        "pid-file=/run/d/pid",
        "dhcp-hostsfile=/run/d/hosts",
        "addn-hosts=/run/d/names",
        "domain=lab.example",
        "local=/lab.example/",
        "domain-needed",
        "bogus-priv",
        "quiet-dhcp",
        "dhcp-range=set:r0,10.7.0.0,static,255.255.255.0,24h",
        "dhcp-option=tag:r0,option:dns-server,10.7.0.254",
        "dhcp-option=tag:r0,option:mtu,1450",
        "dhcp-option=tag:r0,option:classless-static-route,10.8.0.0/16,10.7.0.9",
        "dhcp-option=tag:r0,option:router",
    ]


def test_the_leases_and_names():
    known = {"names//red": Members(1, ("db-1 10.7.0.11",))}
    made = files(record(), known)
    assert made["hosts"] == "52:54:00:00:00:01,10.7.0.10,web-1\n"
    assert made["names"].splitlines() == [
        "10.7.0.10 web-1.lab.example web-1",
        "10.7.0.11 db-1.lab.example db-1",
        "fd00::10 web-1.lab.example web-1",
    ]
    assert files(record("no name"))["names"] == "" and files(record("no name"))["hosts"].count(",") == 1


def test_names_of_others_are_asked_where_there_is_something_in_between():
    wanted = [membership.keys(record(**more)["ports"], "default") for more in ({}, {"type": "nat"}, {"dhcp": False})]
    assert wanted == [{"vxlan//red", "names//red"}, set(), {"vxlan//red"}]
    guests = [("b", record()["ports"][0]), ("a", {**record()["ports"][0], "addresses": []})]
    assert membership.names({"names//red"}, guests) == {"names//red": ["b 10.7.0.10 fd00::10"]}


@pytest.mark.parametrize("bad", ["db-1 no", "db-1 10.7.0.11\nserver=1.2.3.4"])
def test_what_the_controller_tells_is_checked(bad):
    assert told(1, {"names//red": ["db-1 10.7.0.11"]})["names//red"].addresses == ("db-1 10.7.0.11",)
    with pytest.raises(ItemError, match="cannot be read"):
        told(1, {"names//red": [bad]})


def test_a_record_cannot_write_into_the_configuration():
    given = record()
    given["ports"][0]["dns_domain"] = "lab\nserver=/x/1.2.3.4"
    with pytest.raises(ItemError, match="dns_domain"):
        files(given)


def test_a_saved_port_comes_back():
    made = port.from_record(record(), 0)
    assert port.from_dict(port.to_dict(made)) == made and made.served[0].server == "10.7.0.254"


def world(*records, known=()):
    """Return a host whose DHCP server knows what these records need."""
    saved = {one.id: one for each in records for one in port.of_record(each)}
    servers = dnsmasq.wanted(saved.values(), dict(known), "/run/d")
    running = {dhcp.key_of(network): files for network, files in servers.items()}
    return World(saved=saved, files={}, addresses={}, rules=1, told=dict(known), servers=running, run_dir="/run/d")


def another():
    made = record("db-1")
    made["ports"][0].update(id=ID.replace("5f", "6f"), mac="52:54:00:00:00:02", addresses=[{"address": "10.7.0.11"}])
    return made


def differs(one, given):
    return standing.served(one, "red", port.of_record(given))


def test_only_lines_of_the_port_are_told_of_a_server_that_knows_the_others():
    one = world(record())
    assert differs(one, record()) == ([], [])
    new = ["10.7.0.11 db-1.lab.example db-1", "52:54:00:00:00:02,10.7.0.11,db-1"]
    assert differs(one, another()) == ([], new)
    old, new = differs(world(record(), another()), {**another(), "hostname": "db-2"})
    assert old == ["10.7.0.11 db-1.lab.example db-1", "52:54:00:00:00:02,10.7.0.11,db-1"] and len(new) == 2
    dumb = record(dns_domain="other.example")
    assert "domain=lab.example" in differs(one, dumb)[0] and "domain=other.example" in differs(one, dumb)[1]


def test_a_server_that_is_not_as_the_saved_ports_need_it_is_wrong_for_each_of_them():
    one = world(record(), another())
    key = dhcp.key_of("red")
    for have, says in (({}, "does not run"), ({**one.servers[key], "hosts": ""}, "does not know what it should")):
        one.servers[key] = have
        one.serving.clear()
        assert differs(one, record()) == differs(one, another()) == ([says], ["as its ports need it"])
    one = world(record())
    one.told["names//red"] = Members(2, ("far-1 10.7.0.12",))
    assert differs(one, record()) == (["does not know what it should"], ["as its ports need it"])


def test_the_first_port_of_a_network_needs_all_of_its_server():
    old, new = differs(world(), record())
    assert old == [] and "dhcp-authoritative" in new and "52:54:00:00:00:01,10.7.0.10,web-1" in new
