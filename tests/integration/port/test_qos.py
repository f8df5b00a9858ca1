# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of traffic are measured with what really passes; and cards with several queues are opened by a real QEMU."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from machine import Machine

from ansible_collections.virtfleet.compute.plugins.module_utils._network import links, qos, saved
from ansible_collections.virtfleet.compute.plugins.module_utils._network.stray import stray

MEGABYTE = 1_000_000
SLOW = {"max_kbps": 8000, "max_burst_kbps": 400}  # a megabyte a second
FAST = {"max_kbps": 80000, "max_burst_kbps": 4000}
RECEIVER = (
    "import socket,sys\n"
    "s=socket.create_server(('',5001)); print('up',flush=True); c=s.accept()[0]\n"
    "while c.recv(65536): pass\n"
    "c.sendall(b'all')\n"
)
SENDER = (
    "import socket,sys,time\n"
    "c=socket.create_connection((sys.argv[1],5001),3); c.settimeout(30); t=time.monotonic()\n"
    "c.sendall(bytes(int(sys.argv[2]))); c.shutdown(1); c.recv(9); print(time.monotonic()-t)\n"
)


@pytest.fixture
def pair(node, record):
    machines = []

    def make(**port):
        records = record(1, **port), record(2)
        assert [one.error for one in node.plug(*records)] == ["", ""]
        machines.extend(Machine(one) for one in records)
        return machines

    yield make
    for one in machines:
        one.close()


def seconds(sender, receiver, size=MEGABYTE):
    """Return how long so many bytes take."""
    server = receiver.start(f'{sys.executable} -c "{RECEIVER}"')
    assert server.stdout.readline() == b"up\n"
    return float(sender.run(f'{sys.executable} -c "{SENDER}" {receiver.ip} {size}'))


def test_both_directions_are_limited_changed_in_place_and_lifted(pair, node, record):
    web, db = pair(qos=[SLOW, {**FAST, "direction": "ingress"}])
    out, back = seconds(web, db), seconds(db, web)
    assert out > 0.8 and back < 0.7, "only what the guest sends is slow"
    swapped = record(1, qos=[{**SLOW, "direction": "ingress"}, FAST])
    planned = node.plug(swapped, check_mode=True)[0]
    assert planned.changed and "8000 kbit/s" in str(planned.after["qos"]) and "80000" in str(planned.before["qos"])
    assert seconds(web, db) > 0.8, "check mode changed nothing"
    assert [one.error for one in node.plug(swapped)] == [""]
    assert not node.plug(swapped)[0].changed
    out, back = seconds(web, db), seconds(db, web)
    assert out < 0.7 and back > 0.8, "live, without unplugging"
    assert node.plug(record(1))[0].changed
    assert not links.exists(qos.ifb_name(saved.read(node.host.state_dir)[record(1)["ports"][0]["id"]]))
    assert seconds(web, db) < 0.8 and seconds(db, web) < 0.8
    assert not node.plug(record(1))[0].changed


@pytest.mark.parametrize(
    "harm",
    [
        "tc qdisc del dev {tap} root",
        "tc qdisc del dev {tap} ingress",
        "tc filter del dev {tap} ingress",
        "tc qdisc del dev {ifb} root",
        "ip link delete {ifb}",
        "ip link set {ifb} down",
        "tc qdisc replace dev {ifb} root tbf rate 1mbit burst 9000b latency 50ms",
        "ip link delete {tap}",
    ],
)
def test_what_somebody_broke_is_seen_and_repaired(node, record, shell, harm):
    web = record(1, qos=[SLOW, {**SLOW, "direction": "ingress"}])
    node.plug(web)
    assert not node.plug(web)[0].changed
    tap = web["ports"][0]["tap"]
    shell(harm.format(tap=tap, ifb=links.IFB + tap[3:]))
    assert node.plug(web, check_mode=True)[0].changed
    assert node.plug(web)[0].error == "" and not node.plug(web)[0].changed


def test_limits_go_with_the_port_and_the_audit_finds_what_is_left(node, record, shell):
    web = record(1, qos=[SLOW])
    ifb = links.IFB + web["ports"][0]["tap"][3:]
    node.plug(web)
    assert links.exists(ifb)
    node.unplug(web)
    assert not links.exists(ifb)
    shell(f"ip link add {ifb} type ifb; ip link set {ifb} alias virtfleet:{web['ports'][0]['id']}")
    assert stray(node.world())["taps"] == [ifb]
    node.unplug(web)
    assert not links.exists(ifb)


def test_a_run_killed_before_limits_stand_converges(node, record, monkeypatch):
    web = record(1, qos=[SLOW])
    monkeypatch.setattr(qos, "limit", lambda ports: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        node.plug(web)
    monkeypatch.undo()
    assert node.plug(web)[0].changed and not node.plug(web)[0].changed
    monkeypatch.setattr(saved, "write", lambda folder, ports: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        node.plug(record(1))
    monkeypatch.undo()
    assert node.plug(record(1))[0].changed and not node.plug(record(1))[0].changed
    assert not links.exists(links.IFB + web["ports"][0]["tap"][3:])


def test_what_the_kernel_refuses_fails_the_port(node, record, monkeypatch):
    monkeypatch.setattr(qos, "LATENCY", "nonsense")
    outcome = node.plug(record(1, qos=[SLOW]))[0]
    assert "cannot plug vfi" in outcome.error and "nonsense" in outcome.error
    assert saved.read(node.host.state_dir) == {} and not [one for one in links.ours() if one.startswith(("tap", "vfi"))]


def queued(record, vcpus, **more):
    return {**record, "flavor": {"vcpus": vcpus}, "image": {"properties": {"hw_vif_multiqueue_enabled": "yes"}}, **more}


def opened(tap, queues):
    """Start QEMU on a tap as libvirt does; return the process, or None if it could not open it."""
    card = f"tap,id=n,ifname={tap},script=no,downscript=no,queues={queues}" if queues > 1 else ""
    words = ["qemu-system-x86_64", "-display", "none", "-S", "-nodefaults", "-machine", "q35,accel=tcg", "-m", "64"]
    words += ["-netdev", card or f"tap,id=n,ifname={tap},script=no,downscript=no"]
    words += ["-device", "virtio-net-pci,netdev=n" + (",mq=on" if queues > 1 else "")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while process.poll() is None and not links.in_use(tap) and time.monotonic() < end:
        time.sleep(0.05)
    return process if process.poll() is None else None


def test_a_queue_for_each_processor(node, record):
    web = queued(record(1), 3)
    node.plug(web)
    assert not node.plug(web)[0].changed
    tap = web["ports"][0]["tap"]
    guest = opened(tap, 3)
    try:
        files = [os.readlink(f"/proc/{guest.pid}/fd/{one}") for one in os.listdir(f"/proc/{guest.pid}/fd")]
        assert files.count("/dev/net/tun") == 3
        assert not node.plug(record(1), check_mode=True)[0].before.get("links"), "a tap that is in use stays as it is"
    finally:
        guest.kill()
        guest.wait()
    assert opened(tap, 1) is None, "one of several queues is not opened as one of one"
    while links.in_use(tap):
        time.sleep(0.05)
    assert node.plug(record(1))[0].changed and not node.plug(record(1))[0].changed
    assert opened(tap, 3) is None
    guest = opened(tap, 1)
    guest.kill()
    guest.wait()
