# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of OVN over two hosts of a lab: real daemons, TLS between them, and frames over Geneve.

This kernel need not have Open vSwitch: the hosts run its userspace datapath, for which their address is moved to a
bridge of it. The guests are network stacks behind the taps of instances that are stopped.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "port"))

from labs import Lab
from machine import PUMP
from ovn_spec import FLOATING, GROUPS, NETWORKS, OUTSIDE, routers

PACKAGES = "openvswitch-switch ovn-host ovn-central openssl"
HOSTS = ("kvm1", "kvm2")
UPLINK = """
/usr/share/openvswitch/scripts/ovs-ctl --system-id={name} start >/dev/null 2>&1
ovs-vsctl br-exists br-phy && exit 0
mac=$(cat /sys/class/net/eth0/address)
ovs-vsctl add-br br-phy -- set bridge br-phy datapath_type=netdev fail_mode=standalone other_config:hwaddr=\\"$mac\\"
routes=$(ip route show default)
address=$(ip -4 -o address show dev br0 | sed 's/.* inet \\([^ ]*\\) .*/\\1/')
ip address flush dev br0; ip link set eth0 nomaster
ovs-vsctl add-port br-phy eth0
ip address add $address dev br-phy; ip link set br-phy up; ip link set eth0 up
[ -z "$routes" ] || ip route replace default via $(echo $routes | cut -d' ' -f3)
# A card of this datapath is seen by the kernel, too, which must not answer a second time.
nft add table netdev ovsdrop
nft 'add chain netdev ovsdrop in {{ type filter hook ingress device eth0 priority 0; policy drop; }}'
"""
ROUTERS = routers("kvm1")


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
SPEC = {
    "virtfleet_networks": NETWORKS,
    "virtfleet_routers": ROUTERS,
    "virtfleet_security_groups": GROUPS,
    "virtfleet_instances": INSTANCES,
    "compute_host_ovn_datapath": "netdev",
}


class Fleet:
    """The lab with OVN on it."""

    def __init__(self, folder):
        os.environ.setdefault("LAB_PACKAGES", PACKAGES)
        self.lab = Lab(folder, "vfovnt", "10.204.0.0/16", 2)
        self.groups = folder / "groups.yml"
        self.groups.write_text(json.dumps({"ovn_central": {"hosts": {"kvm1": {}}}}))

    def up(self):
        self.lab.lab("up", "2")
        for host in HOSTS:
            self.on(host, UPLINK.replace("{name}", host).replace("{{", "{").replace("}}", "}"))
        # The userspace datapath takes no packet whose checksum is still to be computed, as this machine's are.
        here = f"ip -o -4 address show to {self.lab.prefix}.0.1 | awk '{{print $2}}'"
        subprocess.run(f"ethtool -K $({here}) tx off", shell=True, check=True, capture_output=True)
        script = "ovs-vsctl br-exists br-ex || ovs-vsctl add-br br-ex -- set bridge br-ex datapath_type=netdev"
        self.on("kvm1", f"{script}; ip address replace {OUTSIDE}/24 dev br-ex; ip link set br-ex up")
        for again in (False, True):
            run = self.play("tests/lab/hosts.yml")
            assert run.code == 0, run.output
            assert not again or run.changed == 0, run.output

    def play(self, playbook, *arguments, **more):
        return self.lab.play(playbook, "-i", str(self.groups), *arguments, **{**SPEC, **more})

    def on(self, host, script):
        return self.lab.on(host, script)

    def nb(self, *words):
        return self.on("kvm1", "ovn-nbctl " + " ".join(words))


class Guest:
    """A network stack behind the tap of an instance."""

    def __init__(self, fleet, host, port):
        self.fleet, self.host, self.port = fleet, host, port
        pump = base64.b64encode(PUMP.encode()).decode()
        arguments = f"{port['tap']} {port['mac']} {port['mtu']}"
        start = f'python3 -c "$(echo {pump} | base64 -d)" {arguments} >/tmp/{port["tap"]} 2>&1 & echo $!'
        self.pid = fleet.on(host, start).split()[-1]
        end = time.monotonic() + 20
        while "up" not in fleet.on(host, f"cat /tmp/{port['tap']}") and time.monotonic() < end:
            time.sleep(0.2)

    def run(self, script):
        code = base64.b64encode(script.encode()).decode()
        return self.fleet.on(self.host, f"echo {code} | base64 -d | nsenter -t {self.pid} -n sh -s")

    def says(self, script):
        """Say whether a script ends well."""
        return self.run(f"if ( {script} ) >/dev/null 2>&1; then echo yes; else echo no; fi").split()[-1] == "yes"

    def static(self):
        one = self.port["addresses"][0]
        self.run(f"ip address replace {one['address']}/{one['prefix']} dev eth0")
        if one["gateway"]:
            self.run(f"ip route replace default via {one['gateway']}")
        return self

    def pings(self, address, more=""):
        """The first frame to a host that was never spoken to may be lost."""
        return self.says(f"busybox ping -c 3 -W 2 {more} {address} || busybox ping -c 2 -W 2 {more} {address}")

    def serves(self, port=80):
        code = (
            f"import socket\ns=socket.create_server(('0.0.0.0',{port}))\nwhile True:\n c=s.accept()[0]\n"
            " d=c.recv(99)\n c.sendall(d)\n c.close()\n"
        )
        text = base64.b64encode(code.encode()).decode()
        self.run(f'nohup python3 -c "$(echo {text} | base64 -d)" >/dev/null 2>&1 & sleep 0.5')

    def reaches(self, address, port=80):
        return self.says(
            f'python3 -c \'import socket; c=socket.create_connection(("{address}",{port}),3); c.sendall(b"x");'
            ' assert c.recv(9)==b"x"\''
        )


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    made = Fleet(tmp_path_factory.mktemp("ovn"))
    made.up()
    yield made
    made.lab.down()


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
