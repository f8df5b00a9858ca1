# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is added to what libvirt says of a host."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import host
from ansible_collections.virtfleet.compute.plugins.module_utils._model.host import (
    down,
    pack,
    thin,
    thinned,
    unpacked,
    with_traces,
)
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import record

OURS = {"uuid": "u1", "ours": True, "record": {"ports": [{"id": "p1"}, {"id": "p2"}]}}
THEIRS = {"uuid": "u2", "ours": False, "record": None}
RECORD = {**down("kvm1", "qemu", ""), "instances": [OURS, THEIRS]}


def test_an_instance_is_damaged_if_one_of_its_ports_does_not_stand():
    for standing, damaged in (({"p1", "p2", "p3"}, False), ({"p1"}, True), (set(), True)):
        told = with_traces(RECORD, standing, [])["instances"]
        assert [one["damaged"] for one in told] == [damaged, False]


def test_what_is_there_of_an_instance_without_a_domain_is_left_over():
    told = with_traces(RECORD, set(), ["u9", "u1", "u3", "u9"])
    assert told["extra"]["leftovers"] == ["u3", "u9"]
    assert told["extra"]["virt_type"] == "qemu" and RECORD["extra"]["leftovers"] == []


def guest(number):
    """Return what a host tells of an instance of ours: as random as a real one, and as long."""
    of = random.Random(number)
    uuid, port = (str(UUID(int=of.getrandbits(128))) for _each in range(2))
    mac = ":".join(f"{of.getrandbits(8):02x}" for _byte in range(6))
    about = {"uuid": uuid, "name": f"web-{number}", "mac": mac, "id": port}
    whole = record(f"web-{number}")
    port_record = {**whole["ports"][0], "id": port, "mac": mac, "tap": f"tap{port[:11]}"}
    port_record["addresses"] = [
        {**port_record["addresses"][0], "address": f"10.20.{number // 200}.{number % 200 + 10}"}
    ]
    digest = f"{of.getrandbits(256):064x}"
    created = f"2026-01-{number % 28 + 1:02} 10:{of.randrange(60):02}:{of.randrange(60):02}"
    whole = {**whole, **about, "ports": [port_record], "spec_digest": digest, "created_at": created}
    promise = {"project_id": "default", "ours": True, "state": "running", "vcpus": 1, "memory_mb": 64, "disk_gb": 1}
    return {"uuid": uuid, "name": f"web-{number}", "spec_digest": digest, **promise, "record": whole, "damaged": False}


def test_what_a_host_tells_of_a_guest_is_what_a_boot_reads():
    whole = guest(1)
    whole["record"]["image"]["properties"] = {"hw_disk_bus": "scsi"}
    (told,) = thinned({"instances": [whole]}, [])["instances"]
    assert {**told, "record": None} == {**whole, "record": None}
    (port,) = whole["record"]["ports"]
    assert told["record"] == {
        "project": "default",
        "created_at": whole["record"]["created_at"],
        "ports": [{"id": port["id"], "addresses": port["addresses"]}],
        "image": {"properties": {"hw_disk_bus": "scsi"}},
    }
    grouped = {**whole, "record": {**whole["record"], "server_group": {"name": "db", "policy": "affinity"}}}
    (told,) = thinned({"instances": [grouped]}, [])["instances"]
    assert told["record"]["server_group"] == {"name": "db"}
    assert thin({"uuid": "u", "record": None}) == {"uuid": "u", "record": None}


def test_what_is_asked_for_is_told_whole():
    guests = [guest(number) for number in range(3)]
    told = thinned({"instances": guests}, [guests[1]["uuid"]])["instances"]
    assert [one["record"] == guest["record"] for one, guest in zip(told, guests, strict=True)] == [False, True, False]
    assert thinned({"instances": guests}, ["all"])["instances"] == guests


@pytest.mark.parametrize("count", [0, 1, 100])
def test_a_packed_list_is_a_text_and_comes_back(count):
    guests = [guest(number) for number in range(count)]
    text = pack(guests)
    assert isinstance(text, str) and unpacked({"instances": text}) == guests == unpacked({"instances": guests})
    assert unpacked({}) == []


def test_a_hundred_guests_leave_room_for_the_rest_of_20_kb():
    sizes = {count: len(pack(thinned({"instances": map(guest, range(count))}, [])["instances"])) for count in (10, 100)}
    assert sizes[10] < 2_000 and sizes[100] < 13_000, sizes


def test_a_text_that_would_fill_the_controller_is_cut_and_refused(monkeypatch):
    monkeypatch.setattr(host, "MOST_BYTES", 1000)
    with pytest.raises(ValueError):
        unpacked({"instances": pack([{"uuid": "0" * 10**6}])})
