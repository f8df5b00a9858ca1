# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks over two hosts, which are two network namespaces with a cable between them."""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest
from conftest import CLONE_NEWNET, CLONE_NEWNS, LIBC, call
from machine import Machine
from node import Node, clean, instance, sh

from ansible_collections.virtfleet.compute.plugins.module_utils._model import membership
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.trace import Place
from ansible_collections.virtfleet.compute.plugins.module_utils._network import floating, links, traces
from ansible_collections.virtfleet.compute.plugins.module_utils._network.stray import stray

NO = 0.5
HERE, THERE = "10.99.0.1", "10.99.0.2"
ALL = {"name": "all", "stateful": True, "rules": [{}, {"direction": "egress"}]}
OUT = {"name": "out", "stateful": True, "rules": [{"direction": "egress"}]}


class Far:
    """The other host: a context in which this process is on it."""

    def __init__(self, folder):
        self.home = self.handles()
        call(LIBC.unshare, CLONE_NEWNET | CLONE_NEWNS)
        subprocess.run(
            "mount --make-rprivate / && mount -t sysfs vff /sys && ip link set lo up", shell=True, check=True
        )
        self.away, self.node = self.handles(), Node(folder)
        self.go(self.home)

    @staticmethod
    def handles():
        kinds = (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS))
        return [(os.open(f"/proc/self/ns/{name}", os.O_RDONLY), kind) for name, kind in kinds]

    @staticmethod
    def go(handles):
        here = os.getcwd()
        for handle, kind in handles:
            call(LIBC.setns, handle, kind)
        os.chdir(here)

    def __enter__(self):
        self.go(self.away)
        return self.node

    def __exit__(self, *_error):
        self.go(self.home)


def guest(number, network="red", vni=100, groups=(ALL,), **more):
    """An instance on a vxlan network; those of the same number have the same address, whatever their network."""
    names = {"network": network, "bridge": f"vfn{network}", "vni": vni, "type": "vxlan", "mtu": 1450}
    record = instance(number, **{**names, "security_groups": list(groups), **more})
    return {**record, "name": f"{network}-{number}", "uuid": f"{network}-{number}"}


def told(*placed):
    """What stage claim tells of (address of the host, record)."""
    ports = [(host, record["ports"][0]) for host, record in placed]
    keys = {membership.tunnel(port["network"]) for _host, port in ports}
    return membership.peers(keys, ports)


@pytest.fixture
def fleet(node, tmp_path):
    """Two hosts and a way to put guests on them: (this node, the far one, boot)."""
    far = Far(tmp_path / "far")
    with contextlib.ExitStack() as stack:
        stack.callback(clean)
        sh(f"ip link add vfnup type veth peer name vfnfar; ip addr add {HERE}/24 dev vfnup; ip link set vfnup up")
        with far:
            holder = subprocess.Popen(["sleep", "300"])
        stack.callback(holder.wait)
        stack.callback(holder.kill)
        sh(f"ip link set vfnfar netns {holder.pid}")
        with far:
            sh(f"ip addr add {THERE}/24 dev vfnfar; ip link set vfnfar up")

        def boot(here=(), there=()):
            groups = told(*((HERE, one) for one in here), *((THERE, one) for one in there))
            for records, where, ip in ((here, contextlib.nullcontext(node), HERE), (there, far, THERE)):
                with where as host:
                    outcomes = host.plug(*records, serial=1, groups=groups, host_ip=ip)
                    assert [one.error for one in outcomes] == [""] * len(records)
                    machines = [Machine(one) for one in records]
                    for one in machines:
                        stack.callback(one.close)
                    yield from machines

        yield node, far, lambda *hosts: list(boot(*hosts))


def test_a_network_reaches_over_hosts_and_no_other_does(fleet):
    _node, _far, boot = fleet
    red, blue, other, far_red, far_blue = boot(
        [guest(1), guest(1, "blue", 200), guest(3, "green", 300)], [guest(2), guest(2, "blue", 200)]
    )
    for one in (far_red, far_blue):
        one.serves(80)
    assert red.pings(far_red.ip) and red.reaches(far_red.ip, 80)
    assert red.pings(far_red.ip, more="-s 1422"), "a packet as large as the network says"
    far_red.close()
    assert not red.pings(far_red.ip), "the guest of the other tenant that has the same address does not answer"
    assert blue.pings(far_blue.ip) and blue.reaches(far_blue.ip, 80)
    assert not other.pings(far_blue.ip)


def test_the_hosts_ask_nobody(fleet):
    """Nothing is flooded to find a guest: its host answers for it."""
    node, far, boot = fleet
    one, two = boot([guest(1)], [guest(2)])
    sh("bridge fdb del 00:00:00:00:00:00 dev vfx-100 dst 10.99.0.2")
    with far:
        sh("bridge fdb del 00:00:00:00:00:00 dev vfx-100 dst 10.99.0.1")
    assert one.pings(two.ip)
    assert [each.changed for each in node.plug(guest(1))] == [True], "it is put back all the same: DHCP needs it"
    assert [each.changed for each in node.plug(guest(1))] == [False]


def test_security_groups_hold_over_hosts(fleet):
    _node, _far, boot = fleet
    one, closed = boot([guest(1)], [guest(2, groups=(OUT,))])
    closed.serves(80)
    one.serves(80)
    assert not one.reaches(closed.ip, 80, NO) and closed.reaches(one.ip, 80)


def test_connections_of_two_tenants_with_the_same_addresses_are_two(fleet):
    _node, _far, boot = fleet
    red, red_peer, blue, blue_peer = boot([guest(1), guest(2), guest(1, "blue", 200), guest(2, "blue", 200)])
    for one in (red_peer, blue_peer):
        one.serves(80)
    assert red.reaches(red_peer.ip, 80) and blue.reaches(blue_peer.ip, 80)
    zones = {
        line.partition("zone=")[2].split()[0] for line in sh("conntrack -L -p tcp").splitlines() if "zone=" in line
    }
    assert zones == {"100", "200"}


def test_a_guest_that_moved_is_found_where_it_is(fleet):
    node, _far, boot = fleet
    boot([guest(1)], [guest(2)])
    node.plug(serial=2, groups=told((HERE, guest(1)), ("10.99.0.3", guest(2))), host_ip=HERE)
    entries = sh("bridge fdb show dev vfx-100")
    assert "10.99.0.2" not in entries and entries.count("10.99.0.3") == 2
    node.plug(serial=3, groups=told((HERE, guest(1))), host_ip=HERE)
    assert "dst" not in sh("bridge fdb show dev vfx-100") and "172.29.0.12" not in sh("ip neigh show dev vfnred")


def test_the_last_port_takes_the_network_with_it(fleet):
    node, _far, boot = fleet
    boot([guest(1), guest(3)], [guest(2)])
    node.unplug(guest(1))
    assert links.exists("vfnred") and links.exists("vfx-100")
    node.unplug(guest(3))
    assert not links.exists("vfnred") and not links.exists("vfx-100") and links.ours() == {}
    assert not any(stray(node.world(), []).values())


@pytest.mark.parametrize(
    "more,says",
    [
        (
            {"mtu": 1500},
            "mtu 1500 of network 'red' does not fit, which vfnup with 10.99.0.1 carries in packets of 1500",
        ),
        ({"vni": 0}, "network 'red' has vni 0: want 1 to 16777215"),
    ],
)
def test_what_a_host_cannot_carry_is_refused(fleet, more, says):
    node, _far, _boot = fleet
    (outcome,) = node.plug(guest(1, **more), host_ip=HERE)
    assert outcome.error.startswith(says)
    assert "has no address that the others reach it at" in node.plug(guest(1))[0].error


class Killed(BaseException):
    """The run was killed: nothing of ours may catch it."""


def killed_after(monkeypatch, count):
    """Let the process die before its command number `count`, of those that change something; return the counter."""
    real, made = subprocess.run, []

    def run(words, *given, check=False, **more):
        reading = any(one in words for one in ("show", "list", "-c", "-L", "list-br"))
        if not reading:
            if len(made) == count:
                raise Killed(words)
            made.append(words)
        return real(words, *given, check=check, **more)

    monkeypatch.setattr(subprocess, "run", run)
    return made


def found(node):
    """Return what the audit finds that is nobody's."""
    place = Place(node.host.state_dir, node.host.run_dir, {}, {})
    kinds = (traces.find_taps, traces.find_bridges, traces.find_rules, traces.find_entries, traces.find_missing)
    return [one.evidence for kind in kinds for one in kind(place)]


@pytest.mark.parametrize("then", ["plug", "unplug"])
def test_a_run_killed_at_each_step_of_a_plug_converges(fleet, monkeypatch, then):
    """Before each command that changes something, until the run came to its end."""
    node, _far, _boot = fleet
    web = guest(1, qos=[{"max_kbps": 1000}])
    known = {"serial": 1, "groups": told((HERE, web), (THERE, guest(2))), "host_ip": HERE}
    for count in range(40):
        with monkeypatch.context() as patch:
            killed_after(patch, count)
            try:
                assert [one.error for one in node.plug(web, **known)] == [""]
                ended = True
            except Killed:
                ended = False
        if then == "plug":
            assert [one.error for one in node.plug(web, **known)] == [""]
            assert [one.changed for one in node.plug(web, **known)] == [False] and found(node) == []
        node.unplug(web)
        assert [one.changed for one in node.unplug(web)] == [False]
        assert links.ours() == {} and found(node) == [] and sh("nft list tables") == ""
        if ended:
            break
    assert ended and count > 3
    print(f"killed before each of {count} commands")


def test_a_run_killed_at_each_step_of_an_unplug_converges(fleet, monkeypatch):
    node, _far, _boot = fleet
    web = guest(1, qos=[{"max_kbps": 1000}])
    known = {"serial": 1, "groups": told((HERE, web), (THERE, guest(2))), "host_ip": HERE}
    for count in range(40):
        assert [one.error for one in node.plug(web, **known)] == [""]
        with monkeypatch.context() as patch:
            killed_after(patch, count)
            try:
                node.unplug(web)
                ended = True
            except Killed:
                ended = False
        node.unplug(web)
        assert [one.changed for one in node.unplug(web)] == [False]
        assert found(node) == [] and sh("nft list tables") == "" and stray(node.world(), [])["taps"] == []
        if ended:
            break
    assert ended and count > 1


def test_the_audit_finds_each_thing_that_is_nobodys_and_the_sweep_takes_it(fleet):
    node, _far, _boot = fleet
    web = guest(1, qos=[{"max_kbps": 1000}])
    node.plug(web, serial=1, groups=told((HERE, web), (THERE, guest(2))), host_ip=HERE)
    place = Place(node.host.state_dir, node.host.run_dir, {}, {})
    sh("bridge fdb replace 52:54:00:aa:bb:cc dev vfx-100 dst 10.99.0.7 self static")
    sh("bridge fdb append 00:00:00:00:00:00 dev vfx-100 dst 10.99.0.7")
    sh("ip neigh replace 172.29.0.77 lladdr 52:54:00:aa:bb:cc dev vfnred nud permanent")
    entries = traces.find_entries(place)
    assert sorted(one.name.split()[0] for one in entries) == ["fdb", "fdb", "neighbour"]
    for one in entries:
        traces.remove_entry(place, one)
    assert found(node) == []
    sh(f"rm {node.host.state_dir}/ports/*.json; nft flush ruleset")
    left = {one.name: one for one in [*traces.find_taps(place), *traces.find_bridges(place)]}
    tap = web["ports"][0]["tap"]
    assert set(left) >= {tap, links.IFB + tap[3:], "vfx-100"}
    for _round in range(2):  # a bridge is found once nothing is in it any more
        for one in [*traces.find_taps(place), *traces.find_bridges(place)]:
            with contextlib.suppress(ItemError):
                traces.remove_link(place, one)
    assert links.ours() == {}


def routed(number, **more):
    return guest(number, router=True, **more)


def test_every_host_is_the_router_and_a_floating_address_leads_to_its_guest(fleet):
    """The far host is the outside, too: it sees guests of here as this host, and one by an address of its own."""
    node, far, boot = fleet
    sh("ip route add default via 10.99.0.2")
    with far:
        sh("ip route add default via 10.99.0.1")
    floats = {
        "floating_ip": "10.99.0.50",
        "groups": [{"name": "web", "rules": [{"protocol": "tcp", "ports": "80"}, {"direction": "egress"}]}],
    }
    one, web, there = boot([routed(1), routed(3, **floats)], [routed(2)])
    for each in (one, there):
        assert each.pings("172.29.0.1"), "the gateway, whose MAC is the same on both hosts"
        each.run("busybox ping -c 1 172.29.0.1")
    macs = {each.run("ip neigh show 172.29.0.1").split("lladdr ")[1].split()[0] for each in (one, there)}
    assert len(macs) == 1
    assert one.pings(there.ip) and there.pings(one.ip), "among themselves they are not routed"
    assert one.pings("10.99.0.2"), "out, as this host"
    web.serves(80)
    web.serves(81)
    with far:
        assert reached("10.99.0.50", 80) and not reached("10.99.0.50", 81), "its security groups hold"
        assert not reached("172.29.0.11", 80), "nobody comes in otherwise"
    web.run("busybox ping -c 1 -W 2 10.99.0.2")
    assert "src=10.99.0.2 dst=10.99.0.50" in sh("conntrack -L -p icmp -s 172.29.0.13"), "it goes out as that address"
    record = routed(3, **floats)
    known = {"serial": 1, "groups": told((HERE, routed(1)), (HERE, record), (THERE, routed(2))), "host_ip": HERE}
    assert [each.changed for each in node.plug(record, **known)] == [False]
    sh("ip address del 10.99.0.50/32 dev vfnup")
    assert [each.changed for each in node.plug(record, check_mode=True, **known)] == [True]
    assert [each.changed for each in node.plug(record, **known)] == [True]
    moved = routed(3, **{**floats, "floating_ip": "10.99.0.51"})
    assert [each.changed for each in node.plug(moved, **known)] == [True], "while it runs"
    assert [each.changed for each in node.plug(moved, **known)] == [False]
    with far:
        assert reached("10.99.0.51", 80) and not reached("10.99.0.50", 80)
    assert floating.ours() == {"10.99.0.51": "vfnup"}
    assert found(node) == []
    sh("ip address add 10.99.0.60/32 dev vfnup label vfnup:vf")
    (left,) = traces.find_entries(Place(node.host.state_dir, node.host.run_dir, {}, {}))
    assert "10.99.0.60" in left.evidence
    traces.remove_entry(Place(node.host.state_dir, node.host.run_dir, {}, {}), left)
    assert found(node) == [] and floating.ours() == {"10.99.0.51": "vfnup"}
    node.unplug(moved)
    assert "10.99.0.51" not in sh("ip address show dev vfnup") and "floating" not in sh("nft list ruleset")


def reached(address, port):
    code = f"import socket; socket.create_connection(('{address}', {port}), 1)"
    return subprocess.run(["python3", "-c", code], capture_output=True, check=False).returncode == 0


def test_two_routed_networks_of_a_host_need_ranges_of_their_own(fleet):
    node, _far, _boot = fleet
    outcomes = node.plug(routed(1), guest(2, "blue", 200, router=True), guest(3, "green", 300), host_ip=HERE)
    assert [bool(one.error) for one in outcomes] == [False, True, False]
    assert "subnet 172.29.0.0/24 of network 'blue' overlaps 172.29.0.1/24 on vfnred" in outcomes[1].error
