# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is added to what libvirt says of a host."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.module_utils._model.host import down, with_traces

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
