# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real guests, emulated, on networks of OVN over two hosts of a lab, made and changed by the playbooks.

Their agent is the way in, so that a test of what the network lets pass needs no network.
"""

from __future__ import annotations

import time

import pytest
from ovn_spec import FLOATING, NETWORKS, OUTSIDE

A, B, GREY = "10.70.0.11", "10.70.0.12", "10.72.0.12"
PING = {"protocol": "icmp"}
GROUPS = {"open": {"rules": [PING, {"protocol": "tcp", "ports": "80-82"}]}}
HOMES = {"vfo-a": "kvm1", "vfo-b": "kvm2", "vfo-c": "kvm2"}
SLOW = [{"max_kbps": 1000, "max_burst_kbps": 1000}]


def networks(**more):
    """Return what cards the guests have, with other words for the one of a guest."""
    return {
        "vfo-a": [{"network": "red", "fixed_ip": A, **more.get("a", {})}],
        "vfo-b": [{"network": "red", "fixed_ip": B, "floating_ip": FLOATING}],
        "vfo-c": [{"network": "twin", "fixed_ip": B}, {"network": "grey", "fixed_ip": GREY}],
    }


def spec(groups=None, **more):
    """Return the variables; the first guest knows nothing and asks OVN for its address."""
    told = {"vfo-a": {"config_drive": "none"}}
    common = {"flavor": "tiny", "image": "virtfleet-guest", "wait_for": "agent", "security_groups": ["open"]}
    entries = [
        {"name": name, "networks": cards, "host": HOMES[name], **common, **told.get(name, {})}
        for name, cards in networks(**more).items()
    ]
    return {
        "virtfleet_networks": {**NETWORKS, "grey": {"type": "ovn", "subnets": [{"cidr": "10.72.0.0/24"}]}},
        "virtfleet_security_groups": groups or GROUPS,
        "virtfleet_instances": entries,
    }


class World:
    """The guests in the lab."""

    def __init__(self, lab):
        self.lab = lab

    def boot(self, *arguments, **more):
        """Run boot.yml; it must not fail."""
        run = self.lab.play("playbooks/boot.yml", *arguments, **spec(**more))
        assert run.code == 0, run.output
        return run

    def run(self, name, script):
        """Return what a script prints inside a guest."""
        return self.lab.lab.inside(HOMES[name], name, script)

    def says(self, name, script):
        """Say whether a script ends well inside a guest."""
        return self.run(name, f"({script}) >/dev/null 2>&1 && echo yes || echo no") == "yes"

    def pings(self, name, address, more=""):
        """Say whether an address answers; the first frame to where nobody was yet may be lost."""
        return self.says(name, f"ping -c 2 -W 2 {more} {address} || ping -c 2 -W 2 {more} {address}")

    def serves(self, name):
        """The guest says who it is to whoever comes to port 80."""
        loop = f"while echo from-{name} | nc -l -p 80; do :; done"
        self.run(name, f"({loop}) >/dev/null 2>&1 </dev/null &")

    def hears(self, name, address):
        """Return what a guest hears from port 80 of an address."""
        return self.run(name, f"nc -w 3 {address} 80 </dev/null || true")


@pytest.fixture(scope="module")
def world(ovn_lab):
    ovn_lab.spec = spec()
    one = World(ovn_lab)
    try:
        one.boot()
        yield one
    finally:
        gone = ovn_lab.play("playbooks/delete.yml", "-e", "names=all")
        assert gone.code == 0, gone.output
        audit = ovn_lab.play("playbooks/audit.yml")
        assert audit.code == 0 and "nothing stray" in audit.output, audit.output


def test_a_second_run_changes_nothing(world):
    assert world.boot("--check").changed == 0
    assert world.boot().changed == 0


def test_a_guest_that_knows_nothing_has_its_address_from_ovn(world):
    """It has no config drive; the address, the way out, the name server and the MTU are what OVN said."""
    assert f"inet {A}/24" in world.run("vfo-a", "ip addr show dev eth0")
    assert "mtu 1442" in world.run("vfo-a", "ip link show dev eth0")
    assert "default via 10.70.0.1" in world.run("vfo-a", "ip route")


def test_guests_know_each_others_names(world):
    """Whether OVN or the config drive told them whom to ask."""
    for name in ("vfo-a", "vfo-b"):
        assert world.run(name, "cat /etc/resolv.conf") == "nameserver 10.70.0.254"
        assert B in world.run(name, "nslookup vfo-b.red.example || nslookup vfo-b.red.example")


def test_the_same_network_over_hosts_and_no_other(world):
    """Nor another tenant's with the same range, whose guest has the very address, nor one that is on no router."""
    world.serves("vfo-b")
    world.serves("vfo-c")
    assert world.pings("vfo-a", B) and world.pings("vfo-a", B, "-s 1414")
    assert world.hears("vfo-a", B) == "from-vfo-b"
    assert not world.pings("vfo-c", A) and world.hears("vfo-c", "10.70.0.99") == ""
    assert not world.pings("vfo-a", GREY) and world.hears("vfo-a", GREY) == ""
    assert world.hears("vfo-c", GREY) == "from-vfo-c", "which is there"


def test_the_way_out_and_a_floating_address_from_outside(world):
    assert world.pings("vfo-a", OUTSIDE), "as the router"
    assert world.pings("vfo-b", OUTSIDE), "as its own"
    assert "bytes from" in world.lab.on("kvm1", f"busybox ping -c 3 -W 2 {FLOATING}")
    assert "from-vfo-b" in world.lab.on("kvm1", f"busybox nc -w 5 {FLOATING} 80 </dev/null")


def test_a_revoked_rule_cuts_a_live_connection_of_guests(world):
    shut = {"open": {"rules": [PING]}}
    listens(world, 81, "/tmp/heard")
    world.run("vfo-a", f"(while echo tick; do sleep 0.2; done | nc {B} 81) >/dev/null 2>&1 </dev/null &")
    assert until(lambda: heard(world) > 10)
    planned = world.boot("--check", "--diff", groups=shut)
    assert planned.changed
    before = heard(world)
    assert until(lambda: heard(world) > before), "check mode cut nothing"
    world.boot(groups=shut)
    after = heard(world)
    time.sleep(3)
    assert heard(world) == after
    assert world.pings("vfo-a", B), "which is still let in"
    assert world.boot().changed and world.boot().changed == 0


def listens(world, port, file):
    """A guest writes down what one connection brings; the guest's nc hangs up when it has nothing to say any more."""
    world.run("vfo-b", f"(sleep 600 | nc -l -p {port} >{file}) >/dev/null 2>&1 </dev/null &")


def heard(world):
    """Return how many bytes came to the guest that listens."""
    return int(world.run("vfo-b", "wc -c </tmp/heard"))


def until(what, deadline=20):
    """Say whether it becomes true."""
    end = time.monotonic() + deadline
    while not what() and time.monotonic() < end:
        time.sleep(0.2)
    return what()


def test_a_limit_comes_and_goes_while_the_guest_runs(world):
    began = world.run("vfo-a", "cat /proc/sys/kernel/random/boot_id")
    free = seconds(world)
    planned = world.boot("--check", "--diff", a={"qos": SLOW})
    assert planned.changed and "qos/" in planned.output and "1000" in planned.output, planned.output
    world.boot(a={"qos": SLOW})
    assert world.boot(a={"qos": SLOW}).changed == 0
    limited = seconds(world)
    world.boot()
    again = seconds(world)
    print(f"a megabyte out of a guest: {free:.1f} s, {limited:.1f} s with 1000 kbit/s, {again:.1f} s without")
    assert limited > 5 and limited > 2 * max(free, again)
    assert world.run("vfo-a", "cat /proc/sys/kernel/random/boot_id") == began


def seconds(world):
    """Return how long a megabyte takes from one guest to the other, by the clock of the guest."""
    listens(world, 82, "/dev/null")
    clock = "$(cut -d' ' -f1 /proc/uptime)"
    sent = f"dd if=/dev/zero bs=1000 count=1000 2>/dev/null | nc -w 20 {B} 82 >/dev/null"
    first, last = world.run("vfo-a", f"echo {clock}; {sent}; echo {clock}").split()
    return float(last) - float(first)
