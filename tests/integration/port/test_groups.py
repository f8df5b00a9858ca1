# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What security groups let pass: real TCP, UDP, ping and neighbours between guests, the host and the world outside."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time

import pytest
from machine import Machine
from node import instance

from ansible_collections.virtfleet.compute.plugins.module_utils._network import groups as sg
from ansible_collections.virtfleet.compute.plugins.module_utils._network import nft

NO = 0.4  # seconds after which an answer does not come any more
OUT = {"direction": "egress"}
TO_MEMBERS = "default/default/lan"


def group(name, *rules, stateful=True):
    return {"name": name, "stateful": stateful, "rules": list(rules)}


DEFAULT = group("default", {"remote_group": "default"}, OUT)
SSH = group("ssh", {"protocol": "tcp", "ports": "22", "remote": "172.29.0.11/32"}, OUT)
PING = group("ping", {"protocol": "icmp", "icmp_type": 8}, {"protocol": "icmpv6", "icmp_type": 128}, OUT)


def with_groups(number, *groups, **more):
    record = instance(number, **{"security_groups": list(groups), **more})
    six = {"address": f"2001:db8::{number}", "prefix": 64, "gateway": None, "dns": [], "cidr": "2001:db8::/64"}
    record["ports"][0]["addresses"].append(six)
    return record


def addresses(*numbers):
    return [text for number in numbers for text in (f"172.29.0.{10 + number}/32", f"2001:db8::{number}/128")]


@pytest.fixture
def boot(node):
    """Plug instances and start a machine on each."""
    with contextlib.ExitStack() as stack:

        def start(*records, **more):
            told = node.plug(*records, **more)
            assert [one.error for one in told] == [""] * len(records)
            machines = [Machine(record) for record in records]
            for one in machines:
                stack.callback(one.close)
            return machines

        yield start


def test_only_what_a_rule_says_comes_in(boot):
    server, client, other = boot(
        with_groups(5, SSH), with_groups(1, group("out", OUT)), with_groups(2, group("o", OUT))
    )
    server.serves(22)
    server.serves(80)
    assert client.reaches(server.ip, 22)
    assert not client.reaches(server.ip, 80, NO)
    assert not other.reaches(server.ip, 22, NO)
    assert not client.pings(server.ip)
    client.serves(22)
    assert not server.reaches(client.ip, 22, NO), "a group without ingress rules lets nothing in"


def test_without_groups_nothing_passes_but_address_resolution(boot):
    closed, client = boot(with_groups(5), with_groups(1, group("out", OUT)))
    closed.serves(22)
    client.serves(22)
    assert not client.reaches(closed.ip, 22, NO) and not closed.reaches(client.ip, 22, NO)
    assert "lladdr" in client.run(f"ip neigh show {closed.ip}"), "it has answered ARP"


@pytest.mark.parametrize("key", [{}, {"port_security": False}])
def test_a_port_without_the_key_or_without_port_security_is_open(boot, key):
    record = with_groups(5, **key)
    if not key:
        del record["ports"][0]["security_groups"]
    server, client = boot(record, with_groups(1, group("out", OUT)))
    server.serves(80)
    assert client.reaches(server.ip, 80)


def test_ping_and_ipv6(boot):
    server, client = boot(with_groups(5, PING), with_groups(1, group("out", OUT)))
    server.serves(80)
    assert client.pings(server.ip) and client.pings("2001:db8::5")
    assert not client.reaches("2001:db8::5", 80, NO)
    link_local = server.run("ip -6 -o addr show dev eth0 scope link").split()[3].partition("/")[0]
    assert client.pings(link_local, more="-I eth0"), "a guest answers from the address that it made of its MAC"


def test_a_member_comes_in_and_one_that_was_taken_out_does_not(boot, node):
    two = (with_groups(1, DEFAULT), with_groups(2, group("out", OUT)))
    server, member, stranger = boot(with_groups(5, DEFAULT), *two, serial=1, groups={TO_MEMBERS: addresses(1, 5)})
    server.serves(80)
    assert member.reaches(server.ip, 80) and member.reaches("2001:db8::5", 80)
    assert not stranger.reaches(server.ip, 80, NO)
    changed = node.plug(serial=2, groups={TO_MEMBERS: addresses(1, 2, 5)})
    assert changed == [] and stranger.reaches(server.ip, 80)
    node.plug(serial=3, groups={TO_MEMBERS: addresses(1, 5)})
    assert not stranger.reaches(server.ip, 80, NO) and member.reaches(server.ip, 80)
    node.plug(serial=2, groups={TO_MEMBERS: addresses(1, 2, 5)})
    assert not stranger.reaches(server.ip, 80, NO), "the word of an older transaction came late"


def test_a_revoked_rule_cuts_its_connections_and_no_others(boot, node):
    http = group("http", {"protocol": "tcp", "ports": "80-81"}, {"protocol": "tcp", "ports": "443"}, OUT)
    less = group("http", {"protocol": "tcp", "ports": "443"}, OUT)
    server, client = boot(with_groups(5, http), with_groups(1, group("out", OUT)))
    for port in (80, 443):
        server.serves(port)
    revoked, kept = client.connects(server.ip, 80), client.connects(server.ip, 443)
    assert revoked.says("before") and kept.says("before")
    assert [one.changed for one in node.plug(with_groups(5, less))] == [True]
    assert not revoked.says("after", NO), "an open connection must not outlive its rule"
    assert kept.says("after") and kept.says("again")
    time.sleep(0.5)  # the server sends again what was not acknowledged, which must not bring it back
    assert not revoked.says("later", NO)
    node.plug(with_groups(5, http))
    assert client.reaches(server.ip, 80) and kept.says("more")
    revoked.close()
    kept.close()


def test_a_member_that_is_taken_out_loses_its_connection(boot, node):
    server, member = boot(
        with_groups(5, DEFAULT), with_groups(1, DEFAULT), serial=1, groups={TO_MEMBERS: addresses(1, 5)}
    )
    server.serves(80)
    talk = member.connects(server.ip, 80)
    assert talk.says("before")
    node.plug(serial=2, groups={TO_MEMBERS: addresses(5)})
    assert not talk.says("after", NO)
    talk.close()


def test_a_running_ping_is_cut_too(boot, node):
    server, client = boot(with_groups(5, PING), with_groups(1, group("out", OUT)))
    ping = client.start(f"busybox ping -i 0.1 {server.ip}")
    assert b"64 bytes" in ping.stdout.readline() + ping.stdout.readline()
    node.plug(with_groups(5, SSH))
    before = client.run("cat /proc/net/snmp | grep ^Icmp: | tail -1").split()
    time.sleep(0.6)
    assert client.run("cat /proc/net/snmp | grep ^Icmp: | tail -1").split()[1] == before[1], "no answer came any more"


def test_reloads_under_a_ping_lose_nothing(boot, node):
    server, client = boot(with_groups(5, PING), with_groups(1, group("out", OUT)))
    stop, loads = threading.Event(), []

    def reload():
        while not stop.is_set():
            rules = sg_text(node)
            nft.load(rules, node.host.run_dir, "again")
            loads.append(1)

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        said = client.run(f"busybox ping -i 0.01 -c 300 -W 2 {server.ip} | tail -2")
    finally:
        stop.set()
        thread.join()
    assert "300 packets transmitted, 300 packets received" in said
    print(f"{len(loads)} reloads, {said}")
    assert len(loads) > 3


def sg_text(node):
    from ansible_collections.virtfleet.compute.plugins.module_utils._network import members, saved
    from ansible_collections.virtfleet.compute.plugins.module_utils._network.host import rules_of

    return rules_of(saved.read(node.host.state_dir).values(), members.read(node.host.state_dir))


def test_an_egress_rule_closes_the_rest(boot):
    only = group("only", {"direction": "egress", "protocol": "tcp", "ports": "80"})
    client, server = boot(with_groups(1, only), with_groups(5, group("all", {}, OUT)))
    server.serves(80)
    server.serves(81)
    assert client.reaches(server.ip, 80) and not client.reaches(server.ip, 81, NO)


def test_stateless_rules_need_the_way_back_too(boot, node):
    one_way = group("one", {"protocol": "tcp", "ports": "80"}, stateful=False)
    both = group("both", {"protocol": "tcp", "ports": "80"}, OUT, stateful=False)
    server, client = boot(with_groups(5, one_way), with_groups(1, group("out", OUT)))
    server.serves(80)
    assert not client.reaches(server.ip, 80, NO)
    node.plug(with_groups(5, both))
    assert client.reaches(server.ip, 80)


def test_the_host_itself_needs_a_rule_and_gets_its_answers(boot, node):
    (server,) = boot(with_groups(5, SSH))
    server.serves(22)

    def host_reaches(port):
        code = f"import socket; socket.create_connection(('{server.ip}', {port}), 0.5)"
        return subprocess.run(["python3", "-c", code], capture_output=True, check=False).returncode == 0

    assert not host_reaches(22)
    node.plug(with_groups(5, group("ssh", {"protocol": "tcp", "ports": "22", "remote": "172.29.0.1/32"}, OUT)))
    assert host_reaches(22)
    assert server.pings("172.29.0.1"), "what the guest begins is answered"


def test_an_acknowledgement_of_nothing_is_not_let_in(boot):
    """A rule lets a connection begin; a frame that claims to be of one does not pass as an answer."""
    server, client = boot(with_groups(5, SSH), with_groups(1, group("all", {}, OUT)))
    code = (
        "import socket,struct;s=socket.socket(socket.AF_INET,socket.SOCK_RAW,6);"
        f"s.sendto(struct.pack('!HHIIBBHHH',4000,80,1,1,0x50,0x10,1000,0,0),('{server.ip}',0))"
    )
    seen = server.start("timeout 1 tcpdump -c 1 -ni eth0 tcp port 80")
    time.sleep(0.5)
    client.run(f'python3 -c "{code}"')
    assert seen.wait() == 124, "nothing came"


@pytest.mark.parametrize(
    "pair", [{"ip_address": "172.29.0.200/32", "mac_address": ""}, {"ip_address": "172.29.0.192/27"}]
)
def test_an_address_pair_may_be_used_and_is_a_member(boot, node, pair):
    """A second address, as of a cluster's virtual one: refused without the pair, let pass with it."""
    all_in = group("all", {}, OUT)
    server, client = boot(with_groups(5, all_in), with_groups(1, all_in))
    server.run("ip addr add 172.29.0.200/24 dev eth0")
    client.run("ip neigh flush all")
    assert not client.pings("172.29.0.200")
    node.plug(with_groups(5, all_in, allowed_address_pairs=[pair]))
    client.run("ip neigh flush all")
    assert client.pings("172.29.0.200")
    server.run("ip addr add 172.29.0.99/24 dev eth0")
    assert not client.pings("172.29.0.99")


def test_an_ipv6_range_may_be_used(boot, node):
    all_in = group("all", {}, OUT)
    server, client = boot(with_groups(5, all_in), with_groups(1, all_in))
    server.run("ip addr add 2001:db8::aa:1/64 dev eth0 nodad")
    assert not client.pings("2001:db8::aa:1")
    node.plug(with_groups(5, all_in, allowed_address_pairs=[{"ip_address": "2001:db8::aa:0/112"}]))
    client.run("ip neigh flush all")
    assert client.pings("2001:db8::aa:1")


def test_check_mode_tells_and_changes_nothing(node):
    record = with_groups(5, DEFAULT)
    node.plug(record, serial=1, groups={TO_MEMBERS: addresses(1)})
    stood = nft.listing()
    planned = node.plug(with_groups(5, SSH), check_mode=True)
    assert planned[0].changed and planned[0].before["ports"] != planned[0].after["ports"]
    assert nft.listing() == stood
    assert [one.changed for one in node.plug(record)] == [False]


@pytest.mark.parametrize(
    "harm",
    [
        "nft delete table inet virtfleet_state || nft flush chain bridge virtfleet leave_guest",  # where bridges track
        "nft flush map bridge virtfleet inward",
        "nft flush chain bridge virtfleet to_guest",
        "rm {state}/ports.members",
    ],
)
def test_what_somebody_broke_is_seen_and_repaired(node, shell, harm):
    record = with_groups(5, DEFAULT)
    told = {"serial": 1, "groups": {TO_MEMBERS: addresses(1)}}
    node.plug(record, **told)
    stood = nft.listing()
    shell(harm.format(state=node.host.state_dir))
    assert node.plug(record, **told)[0].changed
    assert not node.plug(record, **told)[0].changed
    assert nft.listing() == stood


def test_rules_of_the_state_go_with_the_last_port(node):
    node.plug(with_groups(5, DEFAULT), serial=1, groups={TO_MEMBERS: addresses(1)})
    assert f"table inet {sg.STATE}" in nft.listing() or nft.tracks_bridges()
    node.unplug(with_groups(5, DEFAULT))
    assert nft.listing() == ""


def test_isolated_ports_reach_the_host_and_not_each_other(boot, node):
    all_in = group("all", {}, OUT)
    one, two = boot(*(with_groups(number, all_in, port_isolated=True) for number in (1, 2)))
    assert one.pings("172.29.0.1") and not one.pings(two.ip)
    assert [each.changed for each in node.plug(with_groups(2, all_in))] == [True], "live, without unplugging"
    assert one.pings(two.ip, count=3)
