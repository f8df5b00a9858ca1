# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real guests on two hosts of a lab: what reaches whom, what nobody can pretend, and what changes while they run.

    sudo .venv/bin/pytest -v tests/integration/network

Three guests log in over the bridge of the lab, `lan`, and try everything on networks of type vxlan.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming
from ansible_collections.virtfleet.compute.plugins.module_utils._network.port import link_local

from ..labs import Lab

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "port"))
from frames import Station, honest, hostile

HERE = pathlib.Path(__file__).parent
GUESTS = ("vfn-a", "vfn-b", "vfn-c")
SUBNET = {"cidr": "10.70.0.0/24", "gateway": None, "pool": ["10.70.0.10-10.70.0.99"]}
LAN = {
    "type": "bridge",
    "bridge": "br0",
    "subnets": [{"cidr": "{{ lab_net }}", "gateway": "{{ lab_gateway }}", "pool": ["{{ lab_pool }}"]}],
}
NETWORKS = {
    "lan": LAN,
    "red": {"type": "vxlan", "vni": 100, "subnets": [SUBNET]},
    "blue": {"type": "vxlan", "vni": 200, "subnets": [SUBNET]},
}
OPEN = [{"protocol": "tcp", "ports": 22}, {"protocol": "icmp"}, {"remote_group": "default"}]
A, B, C, D = "10.70.0.11", "10.70.0.12", "10.70.0.13", "10.70.0.14"
# Capture in the host what reaches a tap, as the guest behind it would see it.
LISTEN = (
    "import socket,sys,time\n"
    "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3)); s.bind((sys.argv[1],0)); s.settimeout(0.2)\n"
    "end=time.time()+float(sys.argv[2]); print('up',flush=True)\n"
    "while time.time()<end:\n"
    "    try:\n"
    "        frame,where=s.recvfrom(65536)\n"
    "        if where[2]==4: print(frame.hex(),flush=True)\n"
    "    except OSError: pass\n"
)


class World:
    """The lab, and the three guests in it."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.networks = {
            "vfn-a": [{"network": "lan"}, {"network": "red", "fixed_ip": A}],
            "vfn-b": [{"network": "lan"}, {"network": "red", "fixed_ip": B}],
            "vfn-c": [{"network": "lan"}, {"network": "blue", "fixed_ip": B}],
        }
        self.groups = {"default": {"rules": OPEN}}

    def spec(self) -> dict:
        """Return the variables of boot.yml."""
        homes = {"vfn-a": "kvm1", "vfn-b": "kvm2", "vfn-c": "kvm2"}
        key = {"key_name": "test", "flavor": "tiny", "image": "virtfleet-guest"}
        entries = [
            {"name": name, "networks": nets, "force_hosts": [homes[name]], **key}
            for name, nets in self.networks.items()
        ]
        return {
            "virtfleet_networks": NETWORKS,
            "virtfleet_security_groups": self.groups,
            "virtfleet_instances": entries,
            "virtfleet_keypairs": {"test": self.lab.key.with_suffix(".pub").read_text().strip()},
        }

    def boot(self, *arguments: str):
        """Run boot.yml; it must not fail."""
        run = self.lab.play("playbooks/boot.yml", *arguments, **self.spec())
        assert run.code == 0, run.output
        return run

    def settled(self) -> None:
        """A second run changes nothing, and check mode says so."""
        assert self.boot("--check").changed == 0
        assert self.boot().changed == 0

    def address(self, name: str) -> str:
        """Return the address of a guest that the machine reaches it at."""
        port = naming.port_id("default", name, 0)
        host = "kvm1" if name == "vfn-a" else "kvm2"
        found = self.lab.on(
            host, f"sed -n 's/^  *\"\\([0-9.]*\\)\"$/\\1/p' /var/lib/virtfleet/ports/{port}.json | head -1"
        )
        return found.strip()

    def run(self, name: str, command: str, deadline: float = 60) -> str:
        """Return what a command prints inside a guest."""
        return self.lab.until_ssh("root", self.address(name), command, deadline)

    def says(self, name: str, command: str) -> bool:
        """Say whether a command succeeds inside a guest."""
        return self.run(name, f"({command}) >/dev/null 2>&1 && echo yes || echo no") == "yes"

    def tap(self, name: str, index: int) -> str:
        """Return the tap of a card."""
        return naming.tap(naming.port_id("default", name, index))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("network"), "vfnett", "10.86.0.0/16", hosts=2)
    lab.up()
    one = World(lab)
    delete(one)
    try:
        one.boot()
        for name in GUESTS:
            one.run(name, "true", 180)
        yield one
    finally:
        delete(one)
        assert "vfn-" not in lab.play("playbooks/audit.yml").output
        lab.down()


def delete(one: World) -> None:
    one.lab.play("playbooks/delete.yml", "-e", f"names={','.join(GUESTS)}")


def test_the_same_network_is_reached_across_hosts_and_no_other(world):
    assert world.says("vfn-a", f"ping -c 3 -W 5 {B}")
    world.run("vfn-b", "echo from-b > /tmp/said; (while nc -l -p 5001 < /tmp/said; do :; done) >/dev/null 2>&1 &")
    world.run("vfn-c", "echo from-c > /tmp/said; (while nc -l -p 5001 < /tmp/said; do :; done) >/dev/null 2>&1 &")
    assert world.run("vfn-a", f"nc -w 5 {B} 5001 < /dev/null") == "from-b", "not the guest of blue with its address"
    assert not world.says("vfn-c", f"ping -c 2 -W 2 {A}"), "another network with the same range"


def captured(world, host, tap, seconds, guest, command):
    """Return the frames that go to a tap while a command runs in a guest."""
    words = [
        str(pathlib.Path(__file__).parents[2] / "lab/lab"),
        "exec",
        host,
        "python3",
        "-c",
        LISTEN,
        tap,
        str(seconds),
    ]
    listener = subprocess.Popen(words, env=world.lab.environment, stdout=subprocess.PIPE, text=True)
    assert listener.stdout.readline() == "up\n"
    assert int(world.run(guest, command)) > 0
    return set(listener.communicate()[0].split())


def test_no_frame_of_a_hostile_guest_arrives_and_all_do_without_port_security(world, tmp_path):
    """From inside a guest, with its own kernel; the victim is a guest of the same host."""
    sender = tmp_path / "send"
    subprocess.run(["gcc", "-Os", "-static", "-s", "-o", str(sender), str(HERE / "send.c")], check=True)
    world.networks["vfn-c"] = [
        {"network": "lan"},
        {"network": "blue", "fixed_ip": B},
        {"network": "red", "fixed_ip": C, "port_security": False},  # or its groups would keep out what arrives
    ]
    world.boot()
    for guarded in (True, False):
        world.networks["vfn-b"][1] = {"network": "red", "fixed_ip": B, **({} if guarded else {"port_security": False})}
        world.boot()
        push(world, sender)
        me, peer = (station(name, index, address) for name, index, address in (("vfn-b", 1, B), ("vfn-c", 2, C)))
        gateway = Station("02:00:00:00:00:01", "10.70.0.1", "fe80::1")
        bad, good = hostile(me, peer, gateway), honest(me, peer, gateway)
        lines = "\\n".join(frame.hex() for frame in [*bad.values(), *good.values()])
        assert len(bad) >= 16

        send = f"printf '{lines}\\n' | /tmp/send eth1"
        seen = captured(world, "kvm2", world.tap("vfn-c", 2), 6, "vfn-b", send)
        # The kernel takes the tag off a frame before anybody sees it.
        untagged = {**bad, "802.1Q tag": bad["802.1Q tag"][:12] + bad["802.1Q tag"][16:]}
        arrived = {kind for kind, frame in bad.items() if {frame.hex(), untagged[kind].hex()} & seen}
        assert {"ping", "ARP request", "NA"} <= {kind for kind, frame in good.items() if frame.hex() in seen}
        if guarded:
            assert arrived == set()
        else:  # a bridge keeps spanning tree to itself
            assert arrived >= set(bad) - {"spanning tree"}
    world.networks["vfn-b"][1] = {"network": "red", "fixed_ip": B}
    world.networks["vfn-c"] = world.networks["vfn-c"][:2]
    world.boot()
    world.settled()
    # Without port security, guest a believed the ARP reply with another MAC: it asks again.
    assert world.says("vfn-a", "ip neigh flush dev eth1")


def push(world, file):
    """Copy a program into a guest."""
    options = [
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR",
        "-oIdentitiesOnly=yes",
    ]
    words = ["ssh", "-i", str(world.lab.key), *options, f"root@{world.address('vfn-b')}"]
    subprocess.run([*words, "cat > /tmp/send && chmod +x /tmp/send"], stdin=file.open("rb"), check=True, timeout=60)


def station(name, index, address):
    mac = naming.mac(naming.port_id("default", name, index))
    return Station(mac, address, link_local(mac))


def test_a_card_comes_and_goes_while_the_guest_runs(world):
    """At the end of the list, with its address; the guest is not started anew, and nothing is left of it."""
    began = world.run("vfn-a", "cat /proc/sys/kernel/random/boot_id")
    # Not the address that the guest has in red: its kernel would forget the routes from there with it.
    world.networks["vfn-a"].append({"network": "blue", "fixed_ip": D})
    planned = world.boot("--check", "--diff")
    assert planned.changed and "port 2 (blue)" in planned.output
    assert not world.lab.on("kvm1", f"ls /sys/class/net | grep {world.tap('vfn-a', 2)} || true")
    world.boot()
    world.settled()
    assert "eth2" in world.run("vfn-a", "ls /sys/class/net")
    world.run("vfn-a", f"ip addr add {D}/24 dev eth2; ip link set eth2 up")
    assert world.says("vfn-a", f"ping -c 3 -W 5 -I eth2 {B}"), "the guest of blue answers"
    world.networks["vfn-a"].pop()
    planned = world.boot("--check", "--diff")
    assert planned.changed and "port 2 (blue)" in planned.output
    assert "eth2" in world.run("vfn-a", "ls /sys/class/net"), "check mode changed nothing"
    world.boot()
    world.settled()
    assert "eth2" not in world.run("vfn-a", "ls /sys/class/net")
    assert world.run("vfn-a", "cat /proc/sys/kernel/random/boot_id") == began
    left = world.lab.on("kvm1", "ls /sys/class/net /var/lib/virtfleet/ports; nft list ruleset")
    assert world.tap("vfn-a", 2) not in left and naming.port_id("default", "vfn-a", 2) not in left
    assert "vf-blue" not in left and "vfx-200" not in left, "the last port of blue on kvm1"


def test_groups_pairs_and_limits_change_while_the_guest_runs(world):
    began = world.run("vfn-b", "cat /proc/sys/kernel/random/boot_id")
    assert world.says("vfn-a", f"ping -c 2 -W 5 {B}")
    world.groups["default"] = {"rules": OPEN[:1]}
    planned = world.boot("--check", "--diff")
    assert planned.changed and world.says("vfn-a", f"ping -c 2 -W 5 {B}")
    world.boot()
    world.settled()
    assert not world.says("vfn-a", f"ping -c 2 -W 2 {B}"), "revoked"
    world.groups["default"] = {"rules": OPEN}
    world.networks["vfn-b"][1] = {
        "network": "red",
        "fixed_ip": B,
        "allowed_address_pairs": [{"ip_address": "10.70.0.200"}],
        "qos": [{"max_kbps": 4000, "max_burst_kbps": 400}],
    }
    planned = world.boot("--check", "--diff")
    assert planned.changed and "4000 kbit/s" in planned.output and "10.70.0.200" in planned.output
    world.boot()
    world.settled()
    world.run("vfn-b", "ip addr add 10.70.0.200/24 dev eth1")
    assert world.says("vfn-a", "ping -c 3 -W 5 10.70.0.200")
    limited = seconds(world, 1)
    world.networks["vfn-b"][1] = {"network": "red", "fixed_ip": B}
    world.boot()
    world.settled()
    assert not world.says("vfn-a", "ping -c 2 -W 2 10.70.0.200")
    free = seconds(world, 1)
    print(f"a megabyte out of a guest: {limited:.1f} s with 4000 kbit/s, {free:.1f} s without")
    assert limited > 1.7 and free < limited
    assert world.run("vfn-b", "cat /proc/sys/kernel/random/boot_id") == began


def seconds(world, megabytes):
    """Return how long so much takes from guest b to guest a, as the clock of this machine has it; all of it arrives."""
    # A nc whose own input ends tells the other one that all is said: sleep keeps it open.
    world.run("vfn-a", "rm -f /tmp/got; (sleep 60 | nc -l -p 5002 | wc -c > /tmp/got) </dev/null >/dev/null 2>&1 &")
    time.sleep(1)
    command = f"dd if=/dev/zero bs=1024 count={megabytes * 1000} 2>/dev/null | nc -w 20 {A} 5002"
    started = time.monotonic()
    world.run("vfn-b", command)
    took = time.monotonic() - started
    got = world.run("vfn-a", "cat /tmp/got")
    assert got == str(megabytes * 1024000), f"{got} bytes arrived"
    return took


def test_what_a_power_loss_leaves_is_plugged_again(world):
    """The host comes back without taps, rules, bridges and tunnels; a run makes all of it anew."""
    world.lab.lab("kill", "kvm1")
    world.lab.lab("boot", "kvm1")
    world.boot()
    world.run("vfn-a", "true", 180)
    assert world.says("vfn-a", f"ping -c 3 -W 5 {B}")
    world.settled()


def test_nothing_stray(world):
    run = world.lab.play("playbooks/audit.yml", **world.spec())
    assert run.code == 0 and not re.search(r"\b(tap|rules|bridge|missing)\s+\S+.*stray", run.output), run.output
    assert shutil.which("nft")
