# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for guests: SSH, console, state, time."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import console, probes, ready
from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor.connection import connect
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import (
    host_uri,
    port,
    record,
)

pytest.importorskip("libvirt")


def instance(name="web-1", **changes):
    return Instance.from_record(record(name, **changes))


def define(connection, one):
    text = domain_xml(one, Guest("qemu", "/state")).replace('<domain type="qemu">', '<domain type="test">')
    domain = connection.defineXML(text.replace('arch="x86_64" machine="pc"', ""))
    domain.create()
    return domain


@pytest.fixture
def connection(tmp_path):
    with connect(host_uri(tmp_path)) as one:
        yield one


@pytest.fixture
def waiting(tmp_path):
    return ready.Waiting(timeout=5, state_dir=str(tmp_path), marker="READY")


def log(tmp_path, one):
    home = tmp_path / "instances" / one.uuid
    home.mkdir(parents=True, exist_ok=True)
    return home / "console.log"


def waited(connection, waiting, *instances, seconds=2.0, since=None):
    """Wait for the instances; return the watches."""
    found = ready.find(connection)
    watches = [ready.begin(one, found, waiting, since or time.time()) for one in instances]
    ready.wait(connection, watches, waiting, seconds)
    return watches


def test_a_running_guest_is_ready_at_once(connection, waiting):
    define(connection, instance())
    began = time.monotonic()
    assert waited(connection, waiting, instance())[0].ready
    assert time.monotonic() - began < 0.1


def test_a_guest_that_is_wanted_stopped_is_not_waited_for(connection, waiting):
    assert waited(connection, waiting, instance(state="stopped", wait_for="ssh"))[0].ready


def test_a_marker_on_the_console_may_come_late_and_in_two_halves(connection, waiting, tmp_path):
    one = instance(wait_for="console")
    define(connection, one)
    file = log(tmp_path, one)
    file.write_text("booting\n")
    threading.Timer(0.3, lambda: file.write_text("booting\nRE")).start()
    threading.Timer(0.6, lambda: file.write_text("booting\nREADY\n")).start()
    watch = waited(connection, waiting, one)[0]
    assert watch.ready and 0.5 < watch.took < 1.5


def test_a_console_that_begins_anew_is_read_from_its_beginning(tmp_path):
    file = tmp_path / "console.log"
    file.write_text("a long first boot, longer than the second")
    one = console.Console(str(file), "READY")
    assert not one.ready()
    file.write_text("READY")
    assert one.ready()


def test_a_guest_that_dies_fails_at_once_with_its_last_words(connection, waiting, tmp_path):
    one = instance(wait_for="console")
    domain = define(connection, one)
    log(tmp_path, one).write_bytes(b"\x1b[31mKernel panic\x1b[0m - not syncing\x07\nno init \xff found\n")
    threading.Timer(0.3, domain.destroy).start()
    watch = waited(connection, waiting, one)[0]
    assert watch.took < 1.5
    assert watch.error == (
        "web-1 is shutdown while waiting for 'READY' on the console; the guest's last words (untrusted): "
        "Kernel panic - not syncing | no init \ufffd found"
    )


def test_last_words_are_bounded(tmp_path):
    file = tmp_path / "console.log"
    file.write_text("\n".join(str(index) + "x" * 10_000 for index in range(100)))
    assert len(console.last_words(str(file))) < 1000
    assert console.last_words(str(tmp_path / "none")) == "(no console log: No such file or directory)"


def test_what_is_not_ready_in_time_says_what_it_waits_for(connection, waiting):
    one = instance(wait_for="agent")
    define(connection, one)
    watch = waited(connection, waiting, one, since=time.time() - 6)[0]
    assert watch.error.startswith("web-1 is running and still waiting for the guest agent after 5 s; the guest's last")


def test_a_slice_ends_with_what_is_pending(connection, waiting):
    names = [instance("web-1", wait_for="agent"), instance("web-2"), instance("web-3", wait_for="console")]
    for one in names:
        define(connection, one)
    watches = waited(connection, waiting, *names, seconds=0.1, since=time.time() - 2)
    assert [one.ready for one in watches] == [False, True, False]
    assert ready.progress(watches) == [
        "web-1: waiting for the guest agent, 2 s",
        "web-3: waiting for 'READY' on the console, 2 s",
    ]


@pytest.mark.parametrize(
    "changes, words, fault",
    [
        ({"wait_for": "ssh", "ports": []}, "wait_for of web-1 is ssh but its ports have no address", "request"),
        (
            {"wait_for": "address", "ports": [port(addresses=[{"address": "2001:db8::1", "prefix": 64}])]},
            "wait_for of web-1 is address but its ports have no IPv4 address",
            "request",
        ),
    ],
)
def test_what_cannot_come_is_refused(connection, waiting, changes, words, fault):
    one = instance(**changes)
    define(connection, one)
    with pytest.raises(ItemError) as caught:
        ready.begin(one, ready.find(connection), waiting, 0)
    assert (str(caught.value), caught.value.fault) == (words, fault)


def test_an_instance_without_a_domain_is_the_host_s_fault(connection, waiting):
    with pytest.raises(ItemError, match="web-1 has no domain on this host"):
        ready.begin(instance(), {}, waiting, 0)


def test_a_bad_marker_is_refused(tmp_path):
    with pytest.raises(ItemError, match="the console marker '\\(' is not a regular expression"):
        console.Console("console.log", "(")


def server(greeting, delay=0.0):
    """Serve one greeting on a free port of the loopback address; return the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _address = listener.accept()
        time.sleep(delay)
        connection.sendall(greeting)
        connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def looked(probe, seconds=1.0):
    """Look until the probe is ready or time is over."""
    end = time.monotonic() + seconds
    while not probe.ready():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_an_ssh_server_is_known_by_its_greeting():
    assert looked(probes.Ssh("127.0.0.1", server(b"SSH-2.0-dropbear\r\n", 0.3)))
    assert not looked(probes.Ssh("127.0.0.1", server(b"220 smtp\r\n")), 0.5)


def test_a_closed_port_is_tried_again():
    probe = probes.Ssh("127.0.0.1", 1)
    assert not looked(probe, 0.2)
    probe.target = ("127.0.0.1", server(b"SSH-2.0-x\r\n"))
    assert looked(probe)


def test_arp_on_a_bridge_that_is_not_there_says_so():
    with pytest.raises(ItemError, match=r"cannot ask for 192.0.2.1 on bridge vfd-none: (No such device|Operation)"):
        probes.Arp("vfd-none", "192.0.2.1", "52:54:00:00:00:01")


def test_an_arp_answer_counts_only_from_the_mac_of_the_port():
    probe = object.__new__(probes.Arp)
    probe.address, probe.mac, probe.asked = (
        socket.inet_aton("192.0.2.1"),
        bytes.fromhex("525400000001"),
        time.monotonic(),
    )
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setblocking(False)
    probe.socket = near
    head = b"\0" * 14 + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2)
    far.send(head + bytes.fromhex("525400000002") + probe.address + b"\0" * 10)
    assert not probe.ready()
    far.send(head + probe.mac + probe.address + b"\0" * 10)
    assert probe.ready()
