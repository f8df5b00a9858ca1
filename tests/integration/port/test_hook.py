# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook, called as libvirt calls it: domain and operation as arguments, the domain's XML on standard input."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._network import hook, links, nft, saved


def xml(*taps):
    cards = "".join(
        f"<interface type='ethernet'>\n  <mac address='52:54:00:00:00:01'/>\n"
        f"      <target dev='{tap}' managed='no'/>\n    </interface>\n    "
        for tap in taps
    )
    return f"<domain type='qemu'><name>vfn</name><devices>\n    {cards}</devices></domain>"


@pytest.fixture
def libvirt(node, tmp_path):
    """Call the hook; returns the exit code and what it said."""
    places = {"hooks_dir": str(tmp_path / "hooks"), "state_dir": node.host.state_dir, "run_dir": node.host.run_dir}
    files = hook.wanted(**places, python="/usr/bin/python3")
    hook.install(files)

    def call(operation, *taps):
        arguments = [hook.script_path(places["hooks_dir"]), "vfn-1", operation, "begin", "-"]
        done = subprocess.run(
            arguments, input=xml(*taps), capture_output=True, text=True, env={"PATH": "/usr/bin"}, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return call


def tap(record):
    return record["ports"][0]["tap"]


@pytest.mark.parametrize("operation", ["start", "started", "stopped", "release", "migrate", "reconnect"])
def test_other_operations_do_nothing(libvirt, node, record, operation):
    node.plug(record(1))
    links.delete([tap(record(1))])
    assert libvirt(operation, tap(record(1))) == (0, "")
    assert not links.exists(tap(record(1)))


def test_after_a_reboot_the_guest_gets_its_port_back(libvirt, node, record, shell):
    node.plug(record(1), record(2))
    stood = nft.listing()
    shell(f"nft flush ruleset; ip link delete {tap(record(1))}; ip link delete {tap(record(2))}; ip link delete vfnbr0")
    os.unlink(nft.note(node.host.run_dir))
    assert libvirt("prepare", tap(record(1))) == (0, "")
    assert nft.listing() == stood
    assert links.master_of(tap(record(1))) == "vfnbr0" and not links.exists(tap(record(2)))
    assert [one.changed for one in node.plug(record(1))] == [False]


@pytest.mark.parametrize(
    "harm",
    ["nft flush ruleset", "nft flush table bridge virtfleet", "ip link set {tap} nomaster", "ip link delete {tap}"],
)
def test_no_guest_starts_unfiltered(libvirt, node, record, shell, harm):
    node.plug(record(1))
    shell(harm.format(tap=tap(record(1))))
    assert libvirt("prepare", tap(record(1))) == (0, "")
    assert [one.changed for one in node.plug(record(1))] == [False]


def test_a_guest_whose_bridge_is_gone_does_not_start(libvirt, node, record, shell):
    shell("ip link add vfnbr5 type bridge; ip link set vfnbr5 up")
    node.plug(record(1, bridge="vfnbr5", type="bridge"))
    shell("ip link delete vfnbr5")
    code, said = libvirt("prepare", tap(record(1, bridge="vfnbr5")))
    assert code == 1
    assert said == (
        "virtfleet: bridge vfnbr5 of network 'lan' does not exist on this host: "
        "create it, or name another bridge in the network\n"
    )


def test_guests_of_others_are_none_of_its_business(libvirt, node, record):
    assert libvirt("prepare", "vnet0", "tap00000000000") == (0, "")
    node.plug(record(1))
    assert libvirt("prepare", "tap00000000000") == (0, "")


def test_it_costs_a_start_little(libvirt, node, record):
    records = [record(number) for number in range(100)]
    node.plug(*records)
    times = []
    for one in records[:10]:
        started = time.monotonic()
        assert libvirt("prepare", tap(one)) == (0, "")
        times.append(time.monotonic() - started)
    links.delete([tap(one) for one in records])
    started = time.monotonic()
    libvirt("prepare", tap(records[0]))
    print(
        f"hook with 100 ports: {min(times) * 1000:.1f} ms when all stands, {time.monotonic() - started:.3f} s to repair"
    )
    assert min(times) < 0.05


def test_the_files_are_the_same_each_time_and_go_away(node, tmp_path):
    places = {"hooks_dir": str(tmp_path / "hooks"), "state_dir": node.host.state_dir, "run_dir": node.host.run_dir}
    files = hook.wanted(**places, python="/usr/bin/python3")
    assert not hook.known_to_libvirt(places["hooks_dir"])
    assert hook.differing(files) == list(files)
    hook.install(files)
    assert hook.known_to_libvirt(places["hooks_dir"])
    assert hook.differing(hook.wanted(**places, python="/usr/bin/python3")) == []
    hook.remove(files)
    assert hook.existing(files) == [] and saved.read(node.host.state_dir) == {}
