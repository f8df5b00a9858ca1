# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access ports on a real Open vSwitch, in a network of the test's own and with the datapath in user space."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import time

import pytest
from machine import Machine

from ansible_collections.virtfleet.compute.plugins.module_utils._network import links, ovs, saved
from ansible_collections.virtfleet.compute.plugins.module_utils._network.stray import stray

CTL = "/usr/share/openvswitch/scripts/ovs-ctl"
PLACES = ("/run/openvswitch", "/etc/openvswitch", "/var/lib/openvswitch", "/var/log/openvswitch")

pytestmark = pytest.mark.skipif(
    not shutil.which("ovs-vsctl"), reason="openvswitch-switch is not installed: make network-test does"
)


@pytest.fixture(scope="module")
def switch(own_network):
    """Open vSwitch runs, with files of its own, and has the bridge vfnovs."""
    for place in PLACES:
        subprocess.run(f"mkdir -p {place} && mount -t tmpfs vfn {place}", shell=True, check=True)
    subprocess.run(f"{CTL} --system-id=vfn --no-monitor start", shell=True, check=True, capture_output=True)
    ovs.vsctl("add-br", "vfnovs", "--", "set", "bridge", "vfnovs", "datapath_type=netdev", "fail_mode=standalone")
    ovs.vsctl("add-br", "vfnovs2", "--", "set", "bridge", "vfnovs2", "datapath_type=netdev")
    yield
    subprocess.run(f"{CTL} stop", shell=True, check=True, capture_output=True)
    for place in PLACES:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def on_switch(switch, node, record):
    def make(number, vlan=10, bridge="vfnovs", **more):
        return record(number, bridge=bridge, type="ovs", port_security=False, subnets=[], segmentation_id=vlan, **more)

    yield make
    for one in ovs.vsctl("list-ports", "vfnovs").split() + ovs.vsctl("list-ports", "vfnovs2").split():
        ovs.vsctl("del-port", one)


def tap(record):
    return record["ports"][0]["tap"]


def told(outcomes):
    return [(one.changed, one.error) for one in outcomes]


DONE, SAME = (True, ""), (False, "")


def test_a_port_is_plugged_once_and_goes(on_switch, node):
    web = on_switch(1)
    assert told(node.plug(web, check_mode=True)) == [DONE] and not links.exists(tap(web))
    assert told(node.plug(web)) == [DONE]
    assert told(node.plug(web)) == [SAME] and told(node.plug(web, check_mode=True)) == [SAME]
    access = ovs.actual([tap(web)])[tap(web)]
    assert access == ovs.Access("vfnovs", 10, web["ports"][0]["id"])
    names = ovs.vsctl("get", "Interface", tap(web), "external_ids")
    assert web["uuid"] in names and web["ports"][0]["mac"] in names
    assert told(node.unplug(web)) == [DONE] and told(node.unplug(web)) == [SAME]
    assert ovs.vsctl("list-ports", "vfnovs") == "" and not links.exists(tap(web))


def test_only_the_same_vlan_is_reached(on_switch, node):
    records = [on_switch(1), on_switch(2), on_switch(3, vlan=20)]
    assert told(node.plug(*records)) == [DONE] * 3
    machines = [Machine(one) for one in records]
    try:
        end = time.monotonic() + 5
        while not machines[0].pings(machines[1].ip) and time.monotonic() < end:
            pass
        assert machines[0].pings(machines[1].ip) and not machines[0].pings(machines[2].ip)
        assert told(node.plug(on_switch(3, vlan=10))) == [DONE], "another VLAN, while it runs"
        assert machines[0].pings(machines[2].ip, count=3)
    finally:
        for one in machines:
            one.close()


@pytest.mark.parametrize(
    "harm",
    [
        "ovs-vsctl del-port {tap}",
        "ovs-vsctl clear Port {tap} tag",
        "ovs-vsctl set Port {tap} tag=99",
        "ovs-vsctl remove Interface {tap} external_ids virtfleet-port",
        "ovs-vsctl del-port {tap} -- add-port vfnovs2 {tap}",
        "ip link delete {tap}",
        "ip link set {tap} down",
    ],
)
def test_what_somebody_broke_is_seen_and_repaired(on_switch, node, shell, harm):
    web = on_switch(1)
    node.plug(web)
    shell(harm.format(tap=tap(web)))
    assert node.plug(web, check_mode=True)[0].changed
    assert told(node.plug(web)) == [DONE] and told(node.plug(web)) == [SAME]


def test_refusals_name_the_thing_and_the_way_out(on_switch, node, record):
    cases = [
        (on_switch(1, bridge="vfnno"), "bridge vfnno of network 'lan' is none of Open vSwitch on this host", "host"),
        (on_switch(2, vlan=5000), "segmentation_id 5000: want 1 to 4094", "request"),
        (on_switch(4, port_isolated=True), "no isolated ports: leave port_isolated out", "request"),
        (record(3, bridge="vfnovs", type="ovs", subnets=[]), "neither port security nor security groups", "request"),
    ]
    for outcome, (_bad, words, fault) in zip(node.plug(*(one[0] for one in cases)), cases):
        assert words in outcome.error and outcome.fault == fault
    assert saved.read(node.host.state_dir) == {}


def test_a_port_without_a_number_is_undone(on_switch, node, monkeypatch):
    """Open vSwitch takes the order to add a port that it cannot open; only the missing number tells."""
    monkeypatch.setattr(links, "commands", lambda want, have: [])  # no tap
    monkeypatch.setattr(links, "unproven", lambda *given: {})
    node.host = dataclasses.replace(node.host, deadline=2)
    web = on_switch(1)
    outcome = node.plug(web)[0]
    assert f"cannot plug {tap(web)}" in outcome.error and "No such device" in outcome.error
    monkeypatch.undo()
    assert ovs.vsctl("list-ports", "vfnovs") == "" and saved.read(node.host.state_dir) == {}


@pytest.mark.parametrize("step", ["saved", "tap", "switched"])
def test_a_run_killed_at_any_step_converges(on_switch, node, shell, step):
    from ansible_collections.virtfleet.compute.plugins.module_utils._network import plug

    web = on_switch(1)
    port = plug.of_record(web)[0]
    saved.write(node.host.state_dir, [port])
    if step != "saved":
        shell(f"ip tuntap add {port.tap} mode tap; ip link set {port.tap} alias virtfleet:{port.id}")
    if step == "switched":
        ovs.vsctl(
            "add-port", "vfnovs", port.tap, "--", "set", "Interface", port.tap, f"external_ids:{ovs.MARK}={port.id}"
        )
    assert told(node.plug(web)) == [DONE] and told(node.plug(web)) == [SAME]
    saved.remove(node.host.state_dir, [port])
    found = stray(node.world())
    assert found["switched"] == [port.tap] and found["taps"] == [port.tap]
    assert told(node.plug(web)) == [DONE]
    assert told(node.unplug(web)) == [DONE]
    assert "switched" not in stray(node.world())


def test_a_restart_of_the_switch_keeps_the_ports(on_switch, node):
    web = on_switch(1)
    node.plug(web)
    subprocess.run(f"{CTL} --system-id=vfn --no-monitor restart", shell=True, check=True, capture_output=True)
    assert told(node.plug(web)) == [SAME]
