# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks over a lab with OVN: real daemons, TLS between them, and frames over Geneve.

The guests are network stacks behind the taps of instances that are stopped.
"""

from __future__ import annotations

import json

import pytest
from ovn_lab import HOSTS
from ovn_spec import FLOATING, GROUPS, NETWORKS, OUTSIDE, routers
from stack import Guest


def instance(name, host, network, groups=("open",), **more):
    """A stopped instance: its tap is there, and free."""
    common = {"flavor": "still", "image": "halt", "state": "stopped", "host": host, "security_groups": list(groups)}
    return {"name": name, "networks": [{"network": network, **more}], **common}


INSTANCES = [
    instance("red-1", "kvm1", "red", fixed_ip="10.70.0.11"),
    instance("red-2", "kvm2", "red", fixed_ip="10.70.0.12", floating_ip=FLOATING),
    instance("blue-1", "kvm2", "blue", fixed_ip="10.71.0.11"),
    instance("twin-1", "kvm1", "twin", fixed_ip="10.70.0.31"),
    instance("twin-2", "kvm2", "twin", fixed_ip="10.70.0.12"),
    instance("closed-1", "kvm1", "red", groups=["closed"], fixed_ip="10.70.0.21"),
    instance("friend-1", "kvm2", "red", groups=["friend"], fixed_ip="10.70.0.22"),
]


@pytest.fixture(scope="module")
def fleet(ovn_lab):
    ovn_lab.spec = {"virtfleet_instances": INSTANCES}
    return ovn_lab


@pytest.fixture(scope="module")
def booted(fleet):
    """All instances are there, and the records of their ports by name."""
    planned = fleet.play("playbooks/boot.yml", "--check")
    assert planned.code == 0 and "vfg_" not in fleet.nb("list Port_Group"), planned.output
    run = fleet.play("playbooks/boot.yml")
    assert run.code == 0, run.output
    again = fleet.play("playbooks/boot.yml")
    assert again.code == 0 and again.changed == 0, again.output
    return fleet


@pytest.fixture(scope="module")
def guests(booted):
    """The guests of all instances, with their addresses."""
    found = {}
    for host in HOSTS:
        for text in booted.on(
            host, "cat /var/lib/virtfleet/ports/*.json | tr -d '\\n' | sed 's/}{/}\\n{/g'"
        ).splitlines():
            saved = json.loads(text)
            written = next(one for one in INSTANCES if one["name"] == saved["instance"])
            network = NETWORKS[written["networks"][0]["network"]]["subnets"][0]
            gateway = network.get("gateway", network["cidr"].replace(".0/24", ".1"))
            address = {"address": saved["addresses"][0], "prefix": 24, "gateway": gateway}
            found[saved["instance"]] = Guest(booted, host, {**saved, "addresses": [address]})
    assert sorted(found) == sorted(one["name"] for one in INSTANCES)
    return {name: one.static() for name, one in found.items()}


def test_what_hosts_say_is_encrypted_and_keys_stay(fleet):
    assert "ssl:" in fleet.on("kvm2", "ovs-vsctl get open . external_ids:ovn-remote")
    assert "role" in fleet.on("kvm1", "ovn-sbctl list Connection") and "pssl:6642" in fleet.on(
        "kvm1", "ovn-sbctl get-connection"
    )
    assert sorted(fleet.on("kvm2", "ls /etc/virtfleet/ovn").split()) == ["ca.pem", "cert.pem", "key.pem"]
    assert "ca-key.pem" in fleet.on("kvm1", "ls /etc/virtfleet/ovn")
    assert fleet.on("kvm2", "stat -c %a /etc/virtfleet/ovn/key.pem").strip() == "600"
    assert fleet.on("kvm1", "ovn-sbctl --bare --columns=name list Chassis").split() in (
        ["kvm1", "kvm2"],
        ["kvm2", "kvm1"],
    )


def test_one_network_over_two_hosts_and_no_other(guests):
    guests["red-2"].serves()
    assert guests["red-1"].pings("10.70.0.12") and guests["red-1"].reaches("10.70.0.12")
    assert guests["red-1"].pings("10.70.0.12", "-s 1414"), "a packet as large as the network says"
    assert guests["twin-1"].pings("10.70.0.12"), "the twin of the same address, on its own network"
    assert not guests["twin-1"].reaches("10.70.0.12"), "which serves nothing"


def test_a_router_between_two_networks(guests):
    guests["blue-1"].serves()
    assert guests["red-1"].pings("10.71.0.11") and guests["red-1"].reaches("10.71.0.11")
    assert not guests["twin-1"].pings("10.71.0.11")


def test_the_way_out_and_a_floating_address_from_outside(guests, booted):
    assert guests["red-1"].pings(OUTSIDE), "by SNAT"
    guests["red-2"].serves()
    assert "bytes from" in booted.on("kvm1", f"busybox ping -c 3 -W 2 {FLOATING}")
    talk = f'import socket; c=socket.create_connection(("{FLOATING}",80),5); c.sendall(b"x"); print(c.recv(9))'
    assert "x" in booted.on("kvm1", f"python3 -c '{talk}'")


def test_security_groups(guests, booted):
    guests["closed-1"].serves()
    assert not guests["red-1"].pings("10.70.0.21") and not guests["red-1"].reaches("10.70.0.21")
    assert guests["friend-1"].reaches("10.70.0.21"), "a member of the group that the rule names"
    wider = {**GROUPS, "closed": {"rules": [*GROUPS["closed"]["rules"], {"protocol": "icmp"}]}}
    assert booted.play("playbooks/boot.yml", virtfleet_security_groups=wider).changed
    assert guests["red-1"].pings("10.70.0.21")
    assert booted.play("playbooks/boot.yml").changed
    assert not guests["red-1"].pings("10.70.0.21")


def test_a_guest_cannot_be_another(guests):
    one = guests["red-1"]
    one.run("ip address add 10.70.0.99/24 dev eth0")
    assert not one.pings("10.70.0.12", "-I 10.70.0.99") and one.pings("10.70.0.12")
    one.run("ip address del 10.70.0.99/24 dev eth0")


def test_dhcp_and_names_without_a_daemon(guests):
    one = guests["red-1"]
    script = "#!/bin/sh\\n[ $1 = bound ] && echo $ip $mask $router $mtu >/tmp/told\\n"
    one.run(f"printf '{script}' >/tmp/told.sh; chmod +x /tmp/told.sh")
    one.run("rm -f /tmp/told; busybox udhcpc -i eth0 -q -n -t 5 -T 2 -O mtu -s /tmp/told.sh >/dev/null 2>&1")
    assert one.run("cat /tmp/told").split() == ["10.70.0.11", "24", "10.70.0.1", "1442"]


def test_a_floating_address_that_is_taken_is_refused_and_the_rest_goes_on(booted):
    more = [
        *INSTANCES,
        instance("thief", "kvm1", "blue", fixed_ip="10.71.0.66", floating_ip="192.0.2.51"),
    ]
    booted.nb("lr-list")
    run = booted.play("playbooks/boot.yml", virtfleet_instances=more)
    assert run.code == 0, run.output
    taken = [*INSTANCES, instance("late", "kvm2", "blue", floating_ip="192.0.2.51")]
    run = booted.play("playbooks/boot.yml", virtfleet_instances=taken)
    assert run.code and "floating_ip 192.0.2.51 belongs to thief" in run.output
    assert "192.0.2.51" in booted.nb("list NAT") and "late" not in booted.nb("list Logical_Switch_Port")
    assert booted.play("playbooks/delete.yml", "-e", "names=thief", virtfleet_instances=more).code == 0
    assert "192.0.2.51" not in booted.nb("list NAT")


def test_a_floating_address_goes_to_another_instance_in_one_run(booted, guests):
    moved = [
        instance("red-1", "kvm1", "red", fixed_ip="10.70.0.11", floating_ip=FLOATING),
        instance("red-2", "kvm2", "red", fixed_ip="10.70.0.12"),
        *INSTANCES[2:],
    ]
    planned = booted.play("playbooks/boot.yml", "--check", "--diff", virtfleet_instances=moved)
    assert planned.code == 0 and planned.changed, planned.output
    assert FLOATING in planned.output and "10.70.0.12" in booted.nb("find NAT type=dnat_and_snat")
    run = booted.play("playbooks/boot.yml", virtfleet_instances=moved)
    assert run.code == 0, run.output
    assert booted.nb("--bare --columns=external_ip,logical_ip find NAT type=dnat_and_snat").split() == [
        FLOATING,
        "10.70.0.11",
    ]
    again = booted.play("playbooks/boot.yml", virtfleet_instances=moved)
    assert again.code == 0 and again.changed == 0, again.output
    assert "bytes from" in booted.on("kvm1", f"busybox ping -c 3 -W 2 {FLOATING} || busybox ping -c 2 -W 2 {FLOATING}")
    run = booted.play("playbooks/boot.yml")
    assert run.code == 0 and booted.play("playbooks/boot.yml").changed == 0, run.output
    assert booted.nb("--bare --columns=logical_ip find NAT type=dnat_and_snat").split() == ["10.70.0.12"]


def test_a_router_that_alone_changes_is_told_by_a_boot_and_by_network_yml(booted, guests):
    """No instance changes; the floating address of one that nobody speaks of goes over to the router's new name."""
    inward = {"edge": {**routers("kvm1")["edge"], "snat": False}}
    planned = booted.play("playbooks/boot.yml", "--check", "--diff", virtfleet_routers=inward)
    assert planned.code == 0 and planned.changed and "snat/edge/10.70.0.0/24" in planned.output, planned.output
    assert guests["red-1"].pings(OUTSIDE)
    assert booted.play("playbooks/boot.yml", virtfleet_routers=inward).changed == 1
    assert booted.play("playbooks/boot.yml", virtfleet_routers=inward).changed == 0
    assert not guests["red-1"].pings(OUTSIDE), "no way out for who has no floating address"
    renamed = {"gate": routers("kvm1")["edge"]}
    run = booted.play("playbooks/network.yml", "-e", "verb=create", virtfleet_routers=renamed)
    assert run.code == 0 and run.changed, run.output
    assert (
        booted.nb("lr-list").count("\n") == 1
        and booted.play("playbooks/boot.yml", virtfleet_routers=renamed).changed == 0
    )
    assert guests["red-1"].pings(OUTSIDE) and guests["red-1"].pings("10.71.0.11")
    assert "bytes from" in booted.on("kvm1", f"busybox ping -c 3 -W 2 {FLOATING} || busybox ping -c 2 -W 2 {FLOATING}")
    assert booted.play("playbooks/boot.yml").changed == 1
    assert booted.play("playbooks/boot.yml").changed == 0
    assert "bytes from" in booted.on("kvm1", f"busybox ping -c 3 -W 2 {FLOATING} || busybox ping -c 2 -W 2 {FLOATING}")


def test_while_the_database_is_away_others_are_built_and_the_run_fails_at_its_end(booted):
    here = {**NETWORKS, "here": {"type": "bridge", "create": True}}
    beside = {**instance("beside", "kvm2", "here"), "security_groups": ["open"]}
    changed = {"virtfleet_networks": here, "virtfleet_instances": [*INSTANCES, beside]}
    booted.on("kvm1", "mv /run/ovn/ovnnb_db.sock /run/ovn/away")
    try:
        run = booted.play("playbooks/boot.yml", **changed)
    finally:
        booted.on("kvm1", "mv /run/ovn/away /run/ovn/ovnnb_db.sock")
    assert run.code and "OVN was not told of networks and routers: cannot talk to /run/ovn/ovnnb_db.sock" in run.output
    assert "instances failed" not in run.output and "beside" in booted.on("kvm2", "virsh list --all --name")
    assert booted.play("playbooks/boot.yml", **changed).code == 0
    assert booted.play("playbooks/delete.yml", "-e", "names=beside", **changed).code == 0


def test_what_is_deleted_leaves_nothing(booted, guests):
    for one in guests.values():
        booted.on(one.host, f"kill {one.pid} || true")
    run = booted.play("playbooks/network.yml", "-e", "verb=delete", "-e", "names=red")
    assert run.code and "network 'red' is used by closed-1 on kvm1" in run.output
    run = booted.play("playbooks/delete.yml", "-e", "names=all")
    assert run.code == 0, run.output
    assert booted.nb("--bare --columns=name list Logical_Switch_Port").split() == [] or "red-1" not in booted.nb(
        "list Logical_Switch_Port"
    )
    for host in HOSTS:
        assert "tap" not in booted.on(host, "ovs-vsctl list-ports br-int")
    audit = booted.play("playbooks/audit.yml")
    assert audit.code == 0, audit.output
    run = booted.play("playbooks/network.yml", "-e", "verb=delete", "-e", "names=all")
    assert run.code == 0 and booted.nb("ls-list").strip() == "" and booted.nb("lr-list").strip() == "", run.output
