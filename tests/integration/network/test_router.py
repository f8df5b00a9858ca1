# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real guests on a network of type vxlan with a router, over two hosts of a lab; this machine is the outside.

Their agent is the way in, so that a test of what the network lets pass needs no network.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from ..labs import Lab

HOMES = {"vfr-a": "kvm1", "vfr-b": "kvm2"}
ADDRESSES = {"vfr-a": "10.80.0.11", "vfr-b": "10.80.0.12"}
GROUPS = {"default": {"rules": [{"protocol": "icmp"}, {"protocol": "tcp", "ports": 80}]}}


class World:
    """The lab, and the two guests in it."""

    def __init__(self, lab):
        self.lab = lab
        self.outside, self.floating = (f"{lab.prefix}.0.{last}" for last in (1, 50))

    def spec(self, floating):
        """Return the variables; the guest of this name has the floating address."""
        common = {"flavor": "tiny", "image": "virtfleet-guest", "wait_for": "agent"}
        entries = [
            {
                "name": name,
                "host": HOMES[name],
                "networks": [
                    {
                        "network": "green",
                        "fixed_ip": address,
                        **({"floating_ip": self.floating} if name == floating else {}),
                    }
                ],
                **common,
            }
            for name, address in ADDRESSES.items()
        ]
        green = {"type": "vxlan", "vni": 300, "router": True, "subnets": [{"cidr": "10.80.0.0/24"}]}
        return {
            "virtfleet_networks": {"green": green},
            "virtfleet_security_groups": GROUPS,
            "virtfleet_instances": entries,
        }

    def boot(self, *arguments, floating="vfr-a"):
        """Run boot.yml; it must not fail."""
        run = self.lab.play("playbooks/boot.yml", *arguments, **self.spec(floating))
        assert run.code == 0, run.output
        return run

    def settled(self, floating="vfr-a"):
        """A second run changes nothing, and check mode says so."""
        assert self.boot("--check", floating=floating).changed == 0
        assert self.boot(floating=floating).changed == 0

    def run(self, name, script):
        """Return what a script prints inside a guest."""
        return self.lab.inside(HOMES[name], name, script)

    def says(self, name, script):
        """Say whether a script ends well inside a guest."""
        return self.run(name, f"({script}) >/dev/null 2>&1 && echo yes || echo no") == "yes"

    def serves(self, name):
        """The guest says who it is to whoever comes to port 80 or 81, of which its groups let in one."""
        for port in (80, 81):
            loop = f"while echo from-{name} | nc -l -p {port}; do :; done"
            self.run(name, f"({loop}) >/dev/null 2>&1 </dev/null &")

    def seen_as(self, name):
        """Return the address that this machine sees a guest at."""
        with socket.create_server((self.outside, 0)) as server:
            server.settimeout(30)
            port = server.getsockname()[1]
            caller = threading.Thread(target=self.run, args=(name, f"echo | nc -w 5 {self.outside} {port} || true"))
            caller.start()
            try:
                talk, (address, _port) = server.accept()
                talk.close()
            finally:
                caller.join()
        return address


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("router"), "vfrout", "10.87.0.0/16", hosts=2)
    lab.up()
    one = World(lab)
    lab.play("playbooks/delete.yml", "-e", "names=all", **one.spec("vfr-a"))
    try:
        one.boot()
        for name in HOMES:
            one.serves(name)
        yield one
    finally:
        lab.play("playbooks/delete.yml", "-e", "names=all", **one.spec("vfr-a"))
        lab.down()


def heard(address, port=80, wait=3):
    """Return what this machine hears from a port, nothing if it is not let in."""
    end = time.monotonic() + wait
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1) as talk:
            talk.settimeout(3)
            return talk.recv(99).decode().strip()
        time.sleep(0.2)
    return ""


def test_every_host_is_the_router_and_guests_reach_each_other_and_out(world):
    world.settled()
    for name in HOMES:
        assert world.says(name, "ping -c 2 -W 5 10.80.0.1"), "the gateway is on its own host"
        assert world.says(name, f"ping -c 2 -W 5 {world.outside}")
    macs = {world.run(name, "ip neigh show 10.80.0.1").split("lladdr ")[1].split()[0] for name in HOMES}
    assert len(macs) == 1
    assert world.says("vfr-b", f"ping -c 3 -W 5 {ADDRESSES['vfr-a']}")
    assert world.run("vfr-b", f"nc -w 5 {ADDRESSES['vfr-a']} 80 </dev/null") == "from-vfr-a"


def test_who_has_a_floating_address_is_reached_and_seen_at_it_and_others_as_their_host(world):
    assert heard(world.floating, wait=15) == "from-vfr-a" and heard(world.floating, 81) == "", "its groups hold"
    assert world.seen_as("vfr-a") == world.floating
    assert world.seen_as("vfr-b") == f"{world.lab.prefix}.0.12"


def test_it_goes_to_another_guest_in_one_run_while_both_run(world):
    began = [world.run(name, "cat /proc/sys/kernel/random/boot_id") for name in HOMES]
    planned = world.boot("--check", "--diff", floating="vfr-b")
    assert planned.changed and heard(world.floating) == "from-vfr-a"
    assert {line[0] for line in planned.output.splitlines() if f'"{world.floating}": "' in line} == {"+"}
    run = world.boot(floating="vfr-b")
    assert "failed=0" in run.output and run.changed
    world.settled("vfr-b")
    assert heard(world.floating, wait=15) == "from-vfr-b" and world.seen_as("vfr-b") == world.floating
    assert world.seen_as("vfr-a") == f"{world.lab.prefix}.0.11"
    assert world.floating not in world.lab.on("kvm1", "ip address; nft list ruleset")
    world.boot(floating="")
    world.settled("")
    assert heard(world.floating) == "" and world.floating not in world.lab.on("kvm2", "ip address; nft list ruleset")
    assert [world.run(name, "cat /proc/sys/kernel/random/boot_id") for name in HOMES] == began
    world.boot()
    assert heard(world.floating, wait=15) == "from-vfr-a"


def test_a_run_brings_it_back_after_a_power_loss(world):
    world.lab.lab("kill", "kvm1")
    world.lab.lab("boot", "kvm1")
    world.boot()
    world.serves("vfr-a")
    assert heard(world.floating, wait=15) == "from-vfr-a" and world.seen_as("vfr-a") == world.floating
    world.settled()


def test_what_is_deleted_leaves_nothing(world):
    run = world.lab.play("playbooks/delete.yml", "-e", "names=all", **world.spec("vfr-a"))
    assert run.code == 0, run.output
    for host in HOMES.values():
        left = world.lab.on(host, "ip address; ip link; nft list ruleset")
        assert world.floating not in left and "vf-green" not in left and "vfx-300" not in left
    assert heard(world.floating) == ""
    audit = world.lab.play("playbooks/audit.yml", **world.spec("vfr-a"))
    assert audit.code == 0 and "nothing stray" in audit.output, audit.output
