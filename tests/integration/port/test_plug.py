# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugging and unplugging on a real kernel: twice, repaired, refused, undone, interrupted."""

from __future__ import annotations

import dataclasses
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._network import (
    delta,
    links,
    load,
    nft,
    plug,
    ruleset,
    saved,
)
from ansible_collections.virtfleet.compute.plugins.module_utils._network.host import rules_of
from ansible_collections.virtfleet.compute.plugins.module_utils._network.stray import stray


def told(outcomes):
    return [(one.changed, one.error) for one in outcomes]


def tap(record):
    return record["ports"][0]["tap"]


DONE, SAME = (True, ""), (False, "")


def test_a_port_is_plugged_once(node, record, shell):
    web = record(1)
    planned = node.plug(web, check_mode=True)
    assert told(planned) == [DONE]
    assert not planned[0].facts["ports"][0]["plugged"]
    assert not os.path.exists(node.host.state_dir)
    assert not links.exists("vfnbr0")

    first = node.plug(web)
    assert told(first) == [DONE]
    assert first[0].before == planned[0].before and first[0].after == planned[0].after
    assert first[0].facts["ports"][0] == {**web["ports"][0], "plugged": True, "gateway": "172.29.0.1"}
    assert os.path.basename(os.readlink(f"/sys/class/net/{tap(web)}/brport/bridge")) == "vfnbr0"
    assert links.attribute(tap(web), "address").startswith("fe:54:00")
    assert os.stat(saved.path_of(node.host.state_dir, web["ports"][0]["id"])).st_mode & 0o777 == 0o600

    assert told(node.plug(web)) == [SAME]
    assert told(node.plug(web, check_mode=True)) == [SAME]


def test_a_mac_that_udev_gave_after_ours_is_ours_again(node, record, shell):
    """As where the host is busy; but a link that lacks more than that is as it is."""
    web = record(1)
    assert told(node.plug(web)) == [DONE]
    mac = links.attribute(tap(web), "address")
    as_it_shall = links.Link(tap(web), "tap", links.attribute(tap(web), "ifalias"), mac, 1500)
    wanted = links.read(as_it_shall, {})
    shell(f"ip link set {tap(web)} address f2:c1:4c:2b:a3:26")
    assert links.unproven([wanted], 2.0) == {} and links.attribute(tap(web), "address") == mac
    shell(f"ip link set {tap(web)} address f2:c1:4c:2b:a3:26 mtu 1400")
    (late,) = links.unproven([wanted], 0.2).values()
    assert (late.mac, late.mtu) == ("f2:c1:4c:2b:a3:26", 1400)
    assert told(node.plug(web)) == [DONE] and links.attribute(tap(web), "address") == mac


@pytest.mark.parametrize(
    "harm",
    [
        "nft flush ruleset",
        "nft delete table bridge virtfleet",
        "nft flush table bridge virtfleet",
        "nft flush chain bridge virtfleet guard_arp",
        "nft flush set bridge virtfleet macs",
        "nft add rule bridge virtfleet guarded accept",
        "nft delete table ip virtfleet_nat",
        "ip link delete {tap}",
        "ip link set {tap} nomaster",
        "ip link set {tap} down",
        "ip link set {tap} mtu 1400",
        "ip link delete vfnbr0",
        "ip address flush dev vfnbr0",
        "echo 0 > /proc/sys/net/ipv4/conf/vfnbr0/forwarding",
        "rm {state}/ports/*.json",
        "rm {run}/ports.rules",
        "echo other 0 > {run}/ports.rules",
        "rm {run}/ports.rules; nft flush ruleset; ip link delete {tap}; ip link delete vfnbr0",
    ],
)
def test_what_somebody_broke_is_seen_and_repaired(node, record, shell, harm):
    web, db = record(1), record(2)
    node.plug(web, db)
    stood = nft.listing()
    shell(harm.format(tap=tap(web), state=node.host.state_dir, run=node.host.run_dir))
    assert node.plug(web, check_mode=True)[0].changed
    assert told(node.plug(web, db))[0] == DONE
    assert told(node.plug(web, db)) == [SAME, SAME]
    assert nft.listing() == stood


def test_a_changed_port_is_changed_in_place(node, record):
    node.plug(record(1), record(2))
    changed = node.plug(record(1, mtu=1400, mac="52:54:00:01:02:03"), record(2))
    assert told(changed) == [DONE, SAME]
    assert links.attribute(tap(record(1)), "mtu") == "1400"
    assert "52:54:00:01:02:03" in nft.listing()


def test_ports_of_other_instances_keep_their_rules(node, record):
    node.plug(record(1))
    node.plug(record(2))
    assert tap(record(1)) in nft.listing() and tap(record(2)) in nft.listing()
    assert told(node.unplug(record(1))) == [DONE]
    assert tap(record(1)) not in nft.listing() and tap(record(2)) in nft.listing()
    assert told(node.plug(record(2))) == [SAME]


def test_unplugging_leaves_the_network_and_nothing_else(node, record):
    web, db = record(1), record(2, bridge="vfnbr1", net=1)
    node.plug(web, db)
    assert told(node.unplug(web, db, check_mode=True)) == [DONE, DONE]
    assert links.exists(tap(web))
    assert told(node.unplug(web, db)) == [DONE, DONE]
    assert told(node.unplug(web, db)) == [SAME, SAME]
    assert nft.listing() == "" and saved.read(node.host.state_dir) == {}
    assert sorted(links.ours()) == ["vfnbr0", "vfnbr1"]
    assert stray(node.world(), [])["bridges"] == ["vfnbr0", "vfnbr1"]


def test_unplugging_where_nothing_ever_was(node, record):
    assert told(node.unplug(record(1), {"name": "bare", "uuid": "x"})) == [SAME, SAME]


def test_tables_of_others_are_not_touched(node, record, shell):
    shell("nft add table bridge theirs; nft add chain bridge theirs c; nft add table ip virtfleet_not_ours")
    theirs = shell("nft list table bridge theirs; nft list table ip virtfleet_not_ours")
    node.plug(record(1))
    node.unplug(record(1))
    assert shell("nft list ruleset") == theirs


def test_an_existing_bridge_is_used_and_left_as_it_is(node, record, shell):
    shell("ip link add vfnbr5 address 02:00:00:00:00:05 type bridge; ip link set vfnbr5 up")
    web = record(1, bridge="vfnbr5", type="bridge", subnets=[])
    assert told(node.plug(web)) == [DONE]
    assert "virtfleet_nat" not in nft.listing()
    assert links.attribute("vfnbr5", "ifalias") == "" and links.attribute("vfnbr5", "address") == "02:00:00:00:00:05"
    node.unplug(web)
    assert links.exists("vfnbr5")


def test_refusals_name_the_thing_and_the_way_out(node, record, shell):
    shell("ip link add vfnbr5 type bridge; ip link set vfnbr5 up; ip addr add 172.29.8.1/24 dev vfnbr5")
    shell("ip tuntap add vfnt mode tap")
    shell(f"ip tuntap add {tap(record(4))} mode tap; ip link set {tap(record(4))} master vfnbr5")
    cases = [
        (
            record(1, bridge="vfnbr9", type="bridge"),
            "bridge vfnbr9 of network 'lan' does not exist on this host",
            "host",
        ),
        (
            record(2, bridge="vfnt", type="bridge"),
            "vfnt of network 'lan' is a tap link, no bridge, on this host",
            "host",
        ),
        (
            record(3, bridge="vfnbr5", type="bridge", mtu=9000),
            "mtu 9000 of network 'lan' is more than the 1500",
            "host",
        ),
        (record(4), "already on this host and not ours", "host"),
        (record(5, bridge="vfnbr5"), "vfnbr5 is already on this host and not ours", "host"),
        (record(6, net=8), "subnet 172.29.8.0/24 of network 'lan' overlaps 172.29.8.1/24 on vfnbr5", "host"),
        (record(7, subnets=[]), "network 'lan' is nat and has no IPv4 subnet with a gateway", "request"),
        (record(8, type="token ring"), "has type 'token ring': want one of bridge, nat, ovn, ovs, vxlan", "request"),
        (record(9, mac="52:54"), "port 1 has mac '52:54'", "request"),
        (record(10, bridge='x"; drop'), "port 1 has bridge", "request"),
    ]
    for number, case in enumerate(cases):
        case[0]["name"] = f"bad-{number}"
    outcomes = node.plug(*(case[0] for case in cases), record(20))
    for outcome, (bad, words, fault) in zip(outcomes, cases):
        assert outcome.name == bad["name"] and words in outcome.error
        assert outcome.fault == fault and not outcome.changed
    assert told(outcomes[-1:]) == [DONE]
    assert [port.instance for port in saved.read(node.host.state_dir).values()] == ["vfn-20"]


def test_two_networks_of_one_run_cannot_have_the_same_subnet(node, record):
    assert "overlaps" in node.plug(record(1), record(2, bridge="vfnbr1"))[1].error


def test_a_plug_that_fails_undoes_itself_and_not_the_others(node, record, monkeypatch):
    def commands(wanted, actual, real=links.commands):
        return ["link set dev vfnnone up"] if wanted.name == tap(record(2)) else real(wanted, actual)

    node.plug(record(3))
    monkeypatch.setattr(links, "commands", commands)
    monkeypatch.setattr(node, "host", type(node.host)(node.host.state_dir, node.host.run_dir, 0.2))
    outcomes = node.plug(record(1), record(2), record(3))
    assert [one.changed for one in outcomes] == [True, False, False]
    assert outcomes[1].error == f'cannot plug {tap(record(2))}: Cannot find device "vfnnone"'
    assert outcomes[1].fault == "host"
    assert sorted(port.instance for port in saved.read(node.host.state_dir).values()) == ["vfn-1", "vfn-3"]
    assert tap(record(2)) not in nft.listing() and not links.exists(tap(record(2)))


def half_plugged(monkeypatch, name):
    """Let a tap be made, and never be put on its bridge; nobody complains."""
    real = links.commands
    bare = [f"tuntap add dev {name} mode tap"]
    monkeypatch.setattr(links, "commands", lambda want, have: bare if want.name == name else real(want, have))


@pytest.mark.parametrize("fatal", [True, False])
def test_a_port_that_is_not_plugged_in_time_is_as_fatal_as_it_shall_be(node, record, monkeypatch, fatal):
    web, slow = record(1), record(2)
    half_plugged(monkeypatch, tap(slow))
    node.host = dataclasses.replace(node.host, deadline=0.3, fatal=fatal)
    started = time.monotonic()
    with saved.lock(node.host.run_dir):
        world = node.world()
        outcomes = plug.plug(node.host, world, [web, slow], [plug.plan(world, one) for one in (web, slow)])
    assert 0.3 < time.monotonic() - started < 5
    assert outcomes[0].facts["ports"][0]["plugged"] and not outcomes[0].error
    told_late = f"{tap(slow)} is on bridge '' with mtu 1500 after 0.3 s"
    if fatal:
        assert told_late in outcomes[1].error and not links.exists(tap(slow)) and world.warnings == []
        assert [port.instance for port in saved.read(node.host.state_dir).values()] == ["vfn-1"]
        return
    assert outcomes[1].error == "" and not outcomes[1].facts["ports"][0]["plugged"]
    assert told_late in world.warnings[0] and links.exists(tap(slow)) and tap(slow) in nft.listing()
    monkeypatch.undo()
    assert told(node.plug(web, slow)) == [SAME, DONE]
    assert links.master_of(tap(slow)) == "vfnbr0"


def test_what_cannot_be_is_not_waited_for(node, record, monkeypatch):
    def commands(wanted, actual, real=links.commands):
        return ["link set dev vfnnone up"] if wanted.name == tap(record(2)) else real(wanted, actual)

    monkeypatch.setattr(links, "commands", commands)
    node.host = dataclasses.replace(node.host, deadline=300)
    started = time.monotonic()
    assert "Cannot find device" in node.plug(record(2))[0].error
    assert time.monotonic() - started < 10


def test_rules_that_cannot_be_loaded_change_nothing(node, record, monkeypatch):
    node.plug(record(1))
    stood = nft.listing()
    monkeypatch.setattr(load, "rules_of", lambda ports, known: rules_of(ports, known) + "nonsense\n")
    monkeypatch.setattr(delta, "change", lambda *given: "nonsense\n")
    outcomes = node.plug(record(1), record(2))
    assert told(outcomes[:1]) == [SAME] and "nft refused the rules of this host" in outcomes[1].error
    assert nft.listing() == stood and not links.exists(tap(record(2)))
    assert [port.instance for port in saved.read(node.host.state_dir).values()] == ["vfn-1"]


def filtered(node, ports):
    with saved.lock(node.host.run_dir):
        plug.save_and_filter(node.host, node.world(), ports)


STEPS = {
    "saved": lambda node, ports: saved.write(node.host.state_dir, ports),
    "filtered": filtered,
    "bare tap": lambda node, ports: (
        saved.write(node.host.state_dir, ports),
        links.run([("", f"tuntap add dev {ports[0].tap} mode tap")]),
    ),
    "bare bridge": lambda node, ports: links.run([("", "link add name vfnbr0 type bridge")]),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("then", ["plug", "unplug"])
def test_a_run_killed_at_any_step_converges(node, record, step, then):
    STEPS[step](node, plug.of_record(record(1)))
    assert all(not one.error for one in getattr(node, then)(record(1)))
    assert told(getattr(node, then)(record(1))) == [SAME]
    if then == "unplug":
        node.plug(record(2))
        node.unplug(record(2))
        assert not [name for name in links.ours() if name.startswith("tap")] and nft.listing() == ""
    assert stray(node.world())["taps"] == []


def test_the_audit_lists_what_belongs_to_nobody(node, record, shell):
    node.plug(record(1), record(2))
    os.unlink(saved.path_of(node.host.state_dir, record(1)["ports"][0]["id"]))
    shell(f"ip link delete {tap(record(2))}; ip tuntap add tap0123456789a mode tap")
    found = stray(node.world(), ["other"])
    assert found == {
        "ports": [record(2)["ports"][0]["id"]],
        "taps": [tap(record(1))],
        "missing": [tap(record(2))],
        "bridges": [],
    }
    assert not node.world().rules


def test_an_unreadable_port_file_stops_the_run_and_keeps_the_rules(node, record):
    node.plug(record(1))
    path = saved.path_of(node.host.state_dir, record(1)["ports"][0]["id"])
    with open(path, "w") as file:
        file.write("{")
    stood = nft.listing()
    with pytest.raises(ItemError, match=r"cannot be read .*: remove it and run again"):
        node.plug(record(2))
    assert nft.listing() == stood


def test_runs_at_the_same_time_do_not_lose_each_others_rules(node, record):
    records = [record(number) for number in range(12)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        done = list(pool.map(lambda one: told(node.plug(one)), records))
    assert done == [[DONE]] * 12
    assert told(node.plug(*records)) == [SAME] * 12
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda one: node.unplug(one) if one is not records[0] else node.plug(one), records))
    assert [port.instance for port in node.world().saved.values()] == ["vfn-0"] and node.world().rules


def test_what_others_change_is_nothing_to_us(node, record, shell):
    """The number of the kernel's rules is another then, and ours are listed to be compared, in whatever order."""
    node.plug(record(1))
    node.plug(record(2, security_groups=[{"name": "web", "rules": [{"protocol": "tcp", "ports": "80"}]}]))
    node.plug(record(3, security_groups=[{"name": "web", "rules": [{"protocol": "tcp", "ports": "25"}]}]))
    shell("nft add table inet theirs")
    assert told(node.plug(record(1))) == [SAME]
    shell("nft add element bridge virtfleet macs '{ \"vfnx\" . 52:54:00:00:00:01 }'")
    assert told(node.plug(record(1))) == [DONE]
    assert "vfnx" not in nft.listing()


def test_a_hundred_ports_are_fast(node, record):
    records = [record(number) for number in range(100)]
    node.plug(record(0))
    started = time.monotonic()
    node.plug(*records)
    plugged = time.monotonic()
    assert told(node.plug(*records)) == [SAME] * 100
    again = time.monotonic()
    rules = ruleset.text(saved.read(node.host.state_dir).values())
    loaded = min(timed(lambda: nft.load(rules, node.host.run_dir, "again")) for attempt in range(3))
    one_more = time.monotonic()
    node.plug(record(200))
    one_more = time.monotonic() - one_more
    gone = timed(lambda: node.unplug(*records))
    print(
        f"100 ports: plug {plugged - started:.3f} s, again {again - plugged:.3f} s, reload of rules {loaded:.3f} s, "
        f"one more {one_more:.3f} s, unplug {gone:.3f} s"
    )
    assert loaded < 0.2


def timed(step):
    started = time.monotonic()
    step()
    return time.monotonic() - started
