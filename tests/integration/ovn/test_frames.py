# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of OVN over two hosts: real daemons, TLS between them, and frames over Geneve in the userspace datapath."""

from __future__ import annotations

import copy
import os
import subprocess

import pytest
from fleet import NO, pings, records
from host import CERTIFICATES, sh
from ovn_spec import FLOATING, GROUPS, NETWORKS, OUTSIDE

from ansible_collections.virtfleet.compute.plugins.module_utils import _ovsdb
from ansible_collections.virtfleet.compute.plugins.module_utils._model.trace import Place
from ansible_collections.virtfleet.compute.plugins.module_utils._network import links, traces
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn import traces as logical
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import networks

SERVER = "10.70.0.254"
PLACES = {
    "red-1": ("one", "red", "10.70.0.11", "open", {}),
    "red-2": ("two", "red", "10.70.0.12", "open", {"floating_ip": FLOATING}),
    "blue-1": ("two", "blue", "10.71.0.11", "open", {}),
    "twin-1": ("one", "twin", "10.70.0.31", "open", {}),
    "twin-2": ("two", "twin", "10.70.0.12", "open", {}),
    "closed-1": ("one", "red", "10.70.0.21", "closed", {}),
    "friend-1": ("two", "red", "10.70.0.22", "friend", {}),
}


@pytest.fixture(scope="module")
def guests(fleet):
    """Guests on both hosts, plugged as a run plugs them."""
    with fleet.guests(PLACES) as machines:
        yield machines


def test_hosts_come_over_tls_and_keys_stay(fleet):
    assert "pssl:6642" in fleet.nb("--db=unix:/run/ovn/ovnnb_db.sock show >/dev/null; ovn-sbctl get-connection")
    with fleet.one:
        assert sorted(sh("ovn-sbctl --bare --columns=name list Chassis").split()) == ["one", "two"]
        assert "tcp:" not in sh("ovn-sbctl get-connection") and sh("ovn-nbctl get-connection").strip() == ""
        refused = sh("(echo | timeout 2 openssl s_client -connect 10.99.0.1:6642 2>&1) || true")
        assert "alert" in refused or "errno" in refused or "no peer certificate" in refused or "handshake" in refused
    with fleet.two:
        assert sorted(os.listdir(CERTIFICATES)) == ["ca.pem", "cert.pem", "key.pem"]
        assert os.stat(f"{CERTIFICATES}/key.pem").st_mode & 0o777 == 0o600


def test_twice_changes_nothing(fleet, guests):
    whole, outcomes = fleet.tell(*records(PLACES).values())
    assert whole.operations == [] and not any(one.changed for one in outcomes)


def test_one_network_over_two_hosts_and_no_other(guests):
    guests["red-2"].serves(80)
    assert pings(guests["red-1"], "10.70.0.12") and guests["red-1"].reaches("10.70.0.12", 80)
    assert pings(guests["red-1"], "10.70.0.12", "-s 1414"), "a packet as large as the network says"
    assert pings(guests["twin-1"], "10.70.0.12"), "another tenant's guest of the same address"
    assert not guests["twin-1"].reaches("10.70.0.12", 80, NO), "which is another one"
    assert not guests["twin-1"].pings("10.70.0.11")


def test_a_router_between_two_networks(guests):
    guests["blue-1"].serves(80)
    assert pings(guests["red-1"], "10.71.0.11") and guests["red-1"].reaches("10.71.0.11", 80, 3)


def test_the_way_out_and_a_floating_address_from_outside(fleet, guests):
    assert pings(guests["red-1"], OUTSIDE) and pings(guests["red-2"], OUTSIDE), "SNAT, also of a guest elsewhere"
    with fleet.one:
        sh(f"busybox ping -c 1 -W 2 {FLOATING} || busybox ping -c 2 -W 2 {FLOATING}")
        code = f"import socket; c=socket.create_connection(('{FLOATING}',80),5); c.sendall(b'x'); print(c.recv(9))"
        assert "x" in sh(f'python3 -c "{code}"')


def test_security_groups_and_their_change(fleet, guests):
    guests["closed-1"].serves(80)
    red, friend = guests["red-1"], guests["friend-1"]
    assert not red.pings("10.70.0.21") and not red.reaches("10.70.0.21", 80, NO)
    assert friend.reaches("10.70.0.21", 80, 3), "a member of the group that the rule names"
    wider = copy.deepcopy(GROUPS)
    wider["closed"]["rules"].append({"protocol": "icmp"})
    whole, _outcomes = fleet.tell(*records(PLACES, wider).values())
    assert len(whole.operations) == 2, "one ACL and its place"
    fleet.nb("--wait=hv sync")
    assert pings(red, "10.70.0.21")
    fleet.tell(*records(PLACES).values())
    fleet.nb("--wait=hv sync")
    assert not red.pings("10.70.0.21")


def test_a_guest_cannot_be_another(guests):
    one = guests["red-1"]
    one.run("ip address add 10.70.0.99/24 dev eth0")
    assert not one.pings("10.70.0.12", 2, 1, "-I 10.70.0.99") and one.pings("10.70.0.12")
    one.run("ip address del 10.70.0.99/24 dev eth0; ip link set eth0 address 52:54:00:99:99:99")
    assert not one.pings("10.70.0.12")
    one.run(f"ip link set eth0 address {one.port['mac']}; ip route replace default via 10.70.0.1")
    assert pings(one, "10.70.0.12")


def test_dhcp_and_names_without_a_daemon(guests, tmp_path):
    one, script = guests["red-1"], tmp_path / "told.sh"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = bound ] && echo "$ip/$mask $router $mtu $domain $dns" >{tmp_path}/told\nexit 0\n'
    )
    script.chmod(0o755)
    one.run(f"busybox udhcpc -i eth0 -q -n -f -t 5 -T 1 -O mtu -s {script}")
    assert (tmp_path / "told").read_text().split() == ["10.70.0.11/24", "10.70.0.1", "1442", "red.example", SERVER]
    for server in (SERVER, "10.70.0.12"):
        asked = one.command(f"busybox nslookup red-2.red.example {server}")
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert "10.70.0.12" in told.stdout.partition("Name:")[2], "OVN answers, whoever is asked"


def test_a_floating_address_that_is_taken_is_refused(fleet, guests):
    thief = copy.deepcopy(records(PLACES)["red-1"])
    thief["ports"][0]["floating_ip"] = FLOATING
    _whole, (refused, other) = fleet.tell(thief, records(PLACES)["blue-1"])
    assert refused.error == f"floating_ip {FLOATING} belongs to red-2: take another" and refused.fault == "request"
    assert not other.error


def test_a_port_that_ovn_does_not_know_is_given_up(fleet, guests, tmp_path):
    with fleet.two as host:
        stranger = copy.deepcopy(records(PLACES)["red-1"])
        port = stranger["ports"][0]
        port.update(id="00000000-0000-4000-8000-000000000001", mac="52:54:00:00:00:77", tap="tap00000000000")
        host.node.host = type(host.node.host)(host.node.host.state_dir, host.node.host.run_dir, 1.0)
        (outcome,) = host.node.plug({**stranger, "name": "nobody", "uuid": "00000000-0000-4000-8000-000000000002"})
        assert "has no flows for it: does ovn-controller reach the central after 1 s" in outcome.error
        assert not links.exists("tap00000000000") and "tap00000000000" not in _ovsdb.interfaces()


def test_stray_taps_in_the_switch_are_found_and_swept(fleet, guests):
    with fleet.two as host:
        place = Place(state_dir=host.node.host.state_dir, run_dir=host.node.host.run_dir)
        assert traces.find_switch_ports(place) == []
        sh("ovs-vsctl add-port br-int tapstray -- set Interface tapstray external_ids:virtfleet=gone")
        (found,) = traces.find_switch_ports(place)
        traces.remove_switch_port(place, found)
        assert traces.find_switch_ports(place) == [] and "tapstray" not in sh("ovs-vsctl list-ports br-int")


def test_a_logical_port_of_nobody_is_found_with_its_owner_and_swept(fleet, guests, tmp_path):
    lost = copy.deepcopy(records(PLACES)["blue-1"])
    lost.update(name="lost", uuid="00000000-0000-4000-8000-000000000009")
    lost["ports"][0].update(id="00000000-0000-4000-8000-00000000000a", mac="52:54:00:00:00:78")
    lost["ports"][0]["addresses"][0]["address"] = "10.71.0.88"
    lost["ports"][0]["security_groups"][0]["name"] = "nobody"
    fleet.tell(lost)
    with fleet.one:
        place = Place(run_dir=str(tmp_path))
        found = {one.owner: one for one in logical.find_ports(place)}
        assert len(found) == len(PLACES) + 1 and logical.find_groups(place) == []
        logical.remove(place, found[lost["uuid"]])
        assert lost["uuid"] not in {one.owner for one in logical.find_ports(place)}
        (group,) = logical.find_groups(place)
        assert "default/nobody" in group.evidence
        logical.remove(place, group)
        assert logical.find_groups(place) == []


def test_what_is_deleted_leaves_nothing(fleet, guests):
    made = records(PLACES)
    with pytest.raises(Exception, match="network 'blue' is used by blue-1, router edge in OVN: delete them first"):
        fleet.tell(away=True, networks=networks.chosen(NETWORKS, "blue"), routers={})
    for name, host in fleet.hosts.items():
        mine = [one for one in made.values() if PLACES[one["name"]][0] == name]
        with host:
            assert [one.error for one in host.node.unplug(*mine)] == [""] * len(mine)
            assert "tap" not in sh("ovs-vsctl list-ports br-int") and links.ours() == {}
    fleet.tell(*made.values(), away=True, networks=[], routers={})
    assert fleet.nb("list Port_Group").strip() == ""
    assert fleet.nb("list NAT").count("dnat_and_snat") == 0 and "red-1" not in fleet.nb("list Logical_Switch_Port")
    whole, _outcomes = fleet.tell(*made.values(), away=True, networks=[], routers={})
    assert whole.operations == []
    fleet.tell(away=True)
    assert fleet.nb("ls-list").strip() == "" and fleet.nb("lr-list").strip() == ""
