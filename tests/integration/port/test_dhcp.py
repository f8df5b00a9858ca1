# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP and DNS: a real client (udhcpc) behind a real tap, and the dnsmasq of its host."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from machine import Machine
from node import Node, clean, instance, sh
from test_vxlan import HERE, THERE, Far

from ansible_collections.virtfleet.compute.plugins.module_utils._model import membership
from ansible_collections.virtfleet.compute.plugins.module_utils._model.trace import Place
from ansible_collections.virtfleet.compute.plugins.module_utils._network import dhcp, dnsmasq, links, traces
from ansible_collections.virtfleet.compute.plugins.module_utils._network.stray import stray

DOMAIN = "lab.example"
SERVER = "172.29.0.254"
OUT = {"name": "out", "stateful": True, "rules": [{"direction": "egress"}]}
SCRIPT = """#!/bin/sh
case "$1" in bound|renew)
    ip address replace "$ip/$mask" dev "$interface"
    [ -z "$router" ] || ip route replace default via "$router"
    echo "$1 $ip/$mask router=$router dns=$dns mtu=$mtu domain=$domain host=$hostname routes=$staticroutes" >>"%s" ;;
esac
"""


@pytest.fixture
def node(own_network):
    """A host whose run directory the user of dnsmasq can enter."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vfn-dhcp-", dir="/run"))
    folder.chmod(0o755)
    made = Node(folder)
    yield made
    dnsmasq.apply(made.host.run_dir, [], {})
    clean()
    shutil.rmtree(folder)


def guest(number, network="lan", domain=DOMAIN, server=SERVER, **more):
    """An instance on a network with DHCP; its name is guest-<number>."""
    cidr = "172.29.0.0/24"
    subnet = {"cidr": cidr, "gateway": "172.29.0.1", "dns": [server], "pool": [], "dhcp_server": server}
    values = {"subnets": [{**subnet, **more.pop("subnet", {})}], "network": network, "dns_domain": domain, **more}
    record = instance(number, **{"security_groups": [OUT], **values})
    return {**record, "hostname": f"guest-{number}"}


def red(number, **more):
    return guest(number, "red", type="vxlan", vni=100, bridge="vfnred", mtu=1450, subnet={"gateway": None}, **more)


class Client(Machine):
    """A guest that knows nothing and asks."""

    def __init__(self, record, folder):
        port = record["ports"][0]
        super().__init__({"ports": [{**port, "addresses": []}]})
        self.log, self.script = folder / f"{port['id']}.log", folder / f"{port['id']}.sh"
        self.script.write_text(SCRIPT % self.log)
        self.script.chmod(0o755)

    def asks(self, more=""):
        """Say what it was told, empty for no answer."""
        self.log.write_text("")
        command = f"busybox udhcpc -i eth0 -q -n -f -t 4 -T 1 -O mtu -O staticroutes -s {self.script} {more}"
        subprocess.run(self.command(command), capture_output=True, check=False)
        return self.log.read_text().strip()

    def resolves(self, name, server=SERVER):
        """Return the addresses of a name."""
        done = subprocess.run(
            self.command(f"busybox nslookup {name} {server}"), capture_output=True, text=True, check=False
        )
        return {line.split()[-1] for line in done.stdout.partition("Name:")[2].splitlines() if "Address" in line}


@pytest.fixture
def on(tmp_path):
    """Start clients for records."""
    with contextlib.ExitStack() as stack:

        def start(*records):
            clients = [Client(one, tmp_path) for one in records]
            for one in clients:
                stack.callback(one.close)
            return clients

        yield start


def plugged(node, *records, **more):
    outcomes = node.plug(*records, **more)
    assert [one.error for one in outcomes] == [""] * len(records)
    return [one.changed for one in outcomes]


def place(node):
    return Place(state_dir=node.host.state_dir, run_dir=node.host.run_dir)


def pid(node, network="lan"):
    return dnsmasq.pid_of(node.host.run_dir, dhcp.key_of(network))


def running(process):
    """Say whether a process runs; one that ended and that nobody waits for has no command line."""
    with contextlib.suppress(OSError):
        return bool(pathlib.Path(f"/proc/{process}/cmdline").read_bytes())
    return False


def test_a_client_gets_its_address_and_resolves_its_neighbour(node, on):
    plugged(node, guest(1), guest(2))
    one, two = on(guest(1), guest(2))
    want = f"bound 172.29.0.11/24 router=172.29.0.1 dns={SERVER} mtu=1500 domain={DOMAIN} host=guest-1 routes="
    assert one.asks() == want
    assert two.asks().startswith("bound 172.29.0.12/24 ")
    assert one.resolves(f"guest-2.{DOMAIN}") == {"172.29.0.12"} and one.resolves("guest-2") == {"172.29.0.12"}
    assert one.resolves(f"guest-9.{DOMAIN}") == set()
    assert f"guest-2.{DOMAIN}" in one.run(f"busybox nslookup 172.29.0.12 {SERVER}"), "and back"
    assert one.pings("172.29.0.1"), "the gateway that it was told"


def test_twice_changes_nothing_and_more_is_told_without_a_restart(node, on):
    assert plugged(node, guest(1)) == [True]
    first = pid(node)
    assert plugged(node, guest(1)) == [False]
    assert [one.changed for one in node.plug(guest(2), check_mode=True)] == [True] and pid(node) == first
    assert plugged(node, guest(1), guest(2)) == [False, True]
    assert pid(node) == first
    (two,) = on(guest(2))
    assert two.asks().startswith("bound 172.29.0.12/24 ")


def test_an_address_that_changed_hands_is_given_to_its_new_owner(node, on):
    plugged(node, guest(1))
    (one,) = on(guest(1))
    assert one.asks()
    one.close()
    node.unplug(guest(1))
    heir = guest(7, addresses=guest(1)["ports"][0]["addresses"])
    plugged(node, guest(2), heir)
    (seven,) = on(heir)
    assert seven.asks().startswith("bound 172.29.0.11/24 ")


def test_who_is_not_known_gets_nothing(node, on):
    plugged(node, guest(1), guest(3, port_security=False))
    (three,) = on(guest(3))
    three.run("ip link set eth0 address 52:54:00:00:00:99")
    assert three.asks() == ""


def test_a_server_that_died_is_started_again(node, on):
    plugged(node, guest(1))
    os.kill(pid(node), signal.SIGKILL)
    time.sleep(0.1)
    assert [one.evidence for one in traces.find_dhcp(place(node))] == ["the DHCP server of network 'lan' does not run"]
    assert plugged(node, guest(1)) == [True] and traces.find_dhcp(place(node)) == []
    sh(f"ip link delete {dhcp.link_of('lan')}")
    assert plugged(node, guest(1)) == [True] and plugged(node, guest(1)) == [False]
    (one,) = on(guest(1))
    assert one.asks()


def test_the_last_port_takes_the_server_with_it(node):
    plugged(node, guest(1), guest(2))
    first = pid(node)
    node.unplug(guest(1))
    assert pid(node)
    node.unplug(guest(2))
    assert not pid(node) and not running(first) and not links.exists(dhcp.link_of("lan"))
    assert dnsmasq.keys(node.host.run_dir) == [] and dhcp.link_of("lan") not in sh("ip netns list")
    assert not any(stray(node.world(), []).values()) or stray(node.world(), [])["bridges"] == ["vfnbr0"]


def test_dhcp_that_is_turned_off_goes_and_a_stray_server_is_found_and_swept(node):
    plugged(node, guest(1))
    plain = guest(1)
    plain["ports"][0]["subnets"][0].pop("dhcp_server")
    assert plugged(node, plain) == [True] and not pid(node)
    plugged(node, guest(1))
    for name in os.listdir(f"{node.host.state_dir}/ports"):
        os.unlink(f"{node.host.state_dir}/ports/{name}")
    (found,) = traces.find_dhcp(place(node))
    assert found.removable and "has no saved port to serve" in found.evidence
    traces.remove_dhcp(place(node), found)
    assert traces.find_dhcp(place(node)) == [] and dnsmasq.keys(node.host.run_dir) == []


def test_the_process_is_not_root_and_the_host_is_not_in_the_network(node):
    plugged(node, guest(1))
    status = pathlib.Path(f"/proc/{pid(node)}/status").read_text()
    assert "Uid:\t0" not in status
    assert SERVER not in sh("ip address")


def test_a_guest_is_no_server_for_others(node, on, tmp_path):
    """What a guest answers as a server does not arrive; without port security it does, so that this can fail."""
    for safe in (True, False):
        rogue, victim = guest(5, server="172.29.0.253", port_security=safe), guest(6)
        for one in (rogue, victim):
            one["ports"][0]["subnets"][0].pop("dhcp_server")
        plugged(node, rogue, victim)
        bad, good = on(rogue, victim)
        bad.run("ip address add 172.29.0.15/24 dev eth0")
        bad.start(
            "dnsmasq --no-daemon --port=0 --conf-file=/dev/null --interface=eth0 --bind-interfaces --no-ping "
            f"--dhcp-range=172.29.0.100,172.29.0.120 --leasefile-ro --pid-file={tmp_path}/rogue"
        )
        time.sleep(0.5)
        assert bool(good.asks()) is not safe
        bad.close()
        good.close()
        node.unplug(rogue, victim)


def test_two_networks_with_the_same_range_have_a_server_each(node, on):
    sh(f"ip link add vfnup type veth peer name vfnfar; ip addr add {HERE}/24 dev vfnup; ip link set vfnup up")
    blue = guest(2, "blue", type="vxlan", vni=200, bridge="vfnblue", mtu=1450, domain="blue.example")
    plugged(node, red(1), blue, host_ip=HERE)
    one, two = on(red(1), blue)
    assert one.asks() == f"bound 172.29.0.11/24 router= dns={SERVER} mtu=1450 domain={DOMAIN} host=guest-1 routes="
    assert "domain=blue.example" in two.asks()
    assert one.resolves("guest-2") == set() and two.resolves("guest-2") == {"172.29.0.12"}


def test_over_two_hosts_each_guest_asks_its_own_and_all_know_all_names(node, on):
    far_folder = pathlib.Path(tempfile.mkdtemp(prefix="vfn-dhcp-", dir="/run"))
    far_folder.chmod(0o755)
    far = Far(far_folder)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, far_folder)
        sh(f"ip link add vfnup type veth peer name vfnfar; ip addr add {HERE}/24 dev vfnup; ip link set vfnup up")
        with far:
            sh("mkdir -p /run/netns; mount -t tmpfs vff /run/netns")
            holder = subprocess.Popen(["sleep", "300"])
        stack.callback(holder.kill)
        sh(f"ip link set vfnfar netns {holder.pid}")
        here, there = red(1), red(2)
        ports = [(HERE, here["ports"][0]), (THERE, there["ports"][0])]
        groups = membership.peers({membership.tunnel("red")}, ports)
        guests = [("guest-1", here["ports"][0]), ("guest-2", there["ports"][0])]
        assert membership.keys([here["ports"][0]], "default") == {"vxlan//red", "names//red"}
        groups.update(membership.names({membership.names_key("red")}, guests))
        plugged(node, here, serial=1, groups=groups, host_ip=HERE)
        with far as other:
            sh(f"ip addr add {THERE}/24 dev vfnfar; ip link set vfnfar up")
            plugged(other, there, serial=1, groups=groups, host_ip=THERE)
            (two,) = on(there)
            assert two.asks().startswith("bound 172.29.0.12/24 ")
            assert two.resolves("guest-1") == {"172.29.0.11"}
        (one,) = on(here)
        assert one.asks().startswith("bound 172.29.0.11/24 ") and one.resolves("guest-2") == {"172.29.0.12"}
        os.kill(pid(node, "red"), signal.SIGKILL)
        assert one.asks() == "" and one.resolves("guest-2") == set(), "the server of the other host does not answer"
        with far as other:
            other.unplug(there)
