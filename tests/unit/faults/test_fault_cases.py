# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of tests/faults can be read, their table tells of each, and what must hold is found broken where it is."""

from __future__ import annotations

import copy
import pathlib
import sys

import pytest

FAULTS = pathlib.Path(__file__).resolve().parents[2] / "faults"
sys.path.insert(0, str(FAULTS))

import invariants  # noqa: E402
from case import CaseError, all_cases, load  # noqa: E402

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming  # noqa: E402

NAME = "one-1"
UUID, PORT = naming.instance_uuid("default", NAME), naming.port_id("default", NAME, 0)
TAP = naming.tap(PORT)
DOMAIN = {
    "uuid": UUID,
    "name": NAME,
    "running": True,
    "id": 3,
    "ours": True,
    "vcpus": 1,
    "digest": "a",
    "macs": ["52:1"],
}
SIZES = {"vcpus": 1, "cpu_allocation_ratio": 2.0, "memory_mb": 128, "disk_gb": 9}
HOLDS = ({"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}).items()


def fleet() -> dict:
    """Return what two hosts have with one instance that is as it should be."""
    registry = {
        "hosts": [{"name": "kvm1", "record": SIZES}, {"name": "kvm2", "record": SIZES}],
        "instances": [{"uuid": UUID, "project": "default", "name": NAME, "host": "kvm2", "state": "active"}],
        "allocations": [{"host": "kvm2", "resource_class": kind, "amount": amount} for kind, amount in HOLDS],
        "ports": [{"mac": "52:1"}],
        "addresses": [{"network": "lan", "address": "10.0.0.9"}],
    }
    empty = {"domains": [], "instances": {}, "folders": [], "ports": [], "taps": {}, "tables": {}, "registry": registry}
    files = {f"{UUID}/root.qcow2": [1, 2, 3], f"{UUID}/config.iso": [4, 5, 6]}
    saved = {"id": PORT, "mac": "52:1", "network": "lan", "fixed_ip": "10.0.0.9"}
    full = {"domains": [DOMAIN], "instances": files, "folders": [UUID], "ports": [saved], "taps": {TAP: 7}}
    return {"kvm1": empty, "kvm2": {**empty, **full, "tables": {"bridge virtfleet": f"iif {TAP}"}}}


def test_what_is_as_it_should_be():
    assert invariants.broken(fleet()) == []
    assert invariants.missing(fleet(), [NAME]) == []
    assert invariants.left(fleet(), ["other-1"]) == []


def test_an_instance_on_two_hosts():
    seen = copy.deepcopy(fleet())
    seen["kvm1"]["domains"] = [DOMAIN]
    assert f"{NAME} ({UUID}) is defined on kvm1 and kvm2" in invariants.broken(seen)
    assert "MAC of a domain 52:1 is given twice" in invariants.broken(seen)
    assert invariants.missing(seen, [NAME]) == [f"{NAME} runs on kvm1 and is claimed on kvm2"]


@pytest.mark.parametrize("kind,amount,cap", [("VCPU", 2, 2), ("MEMORY_MB", 65, 128), ("DISK_GB", 9, 9)])
def test_a_host_that_has_promised_too_much(kind, amount, cap):
    seen = copy.deepcopy(fleet())
    seen["kvm1"]["registry"]["allocations"].append({"host": "kvm2", "resource_class": kind, "amount": amount})
    held = dict(HOLDS)[kind] + amount
    assert invariants.over(seen) == [f"kvm2 has promised {held} of {cap} {kind}"]


def test_domains_that_are_more_than_the_registry_knows():
    seen = copy.deepcopy(fleet())
    seen["kvm2"]["domains"] += [{**DOMAIN, "uuid": "x", "name": "x", "vcpus": 2, "macs": []}]
    assert invariants.over(seen) == ["the domains of kvm2 have 3 of 2 VCPU"]


def test_what_is_given_twice():
    seen = copy.deepcopy(fleet())
    for table in ("instances", "ports", "addresses"):
        seen["kvm1"]["registry"][table] *= 2
    assert len(invariants.given_twice(seen)) == 3


@pytest.mark.parametrize("kind", ["disk", "tap", "rules", "guest"])
def test_what_is_missing_of_an_instance(kind):
    seen = copy.deepcopy(fleet())
    there = seen["kvm2"]
    if kind == "disk":
        del there["instances"][f"{UUID}/root.qcow2"]
    elif kind == "guest":
        there["domains"] = [{**DOMAIN, "running": False}]
    else:
        there["taps" if kind == "tap" else "tables"] = {}
    (sentence,) = invariants.missing(seen, [NAME])
    assert sentence.startswith(f"{NAME} has ") and kind not in sentence.split(": ")[-1].split(", ")
    assert invariants.left(seen, [NAME])[0].startswith(f"{NAME} has left: active claim, folder, ")


def test_a_stranger_and_a_neighbour_that_were_touched():
    seen = fleet()
    before, mine = invariants.strangers(seen), invariants.standing(seen, "one")
    after = copy.deepcopy(seen)
    after["kvm2"]["taps"]["tapstranger"] = 9
    after["kvm2"]["domains"] = [{**DOMAIN, "id": 4}]
    assert invariants.touched(before, invariants.strangers(after)) == [
        "taps of a stranger on kvm2 are not as they were"
    ]
    assert invariants.changed(mine, invariants.standing(after, "one")) == [f"{NAME} on kvm2 is not the guest it was"]


def test_each_case_is_in_the_table():
    page = (FAULTS.parents[1] / "docs/faults.md").read_text()
    cases = all_cases()
    assert len(cases) > 40 and [one.name for one in cases if f"`{one.name}` |" not in page] == []


@pytest.mark.parametrize(
    "text,said",
    [
        ("{run: boot, fault: the moon falls}", "fault is 'the moon falls'"),
        ("{run: boot, when: {in: nowhere}, fault: the host hangs}", "stage is 'nowhere'"),
        ("{run: boot, fault: the host hangs, expects: {}}", "expects: there is apart, expect"),
    ],
)
def test_a_case_that_says_what_there_is_not(tmp_path, text, said):
    (tmp_path / "odd.yml").write_text(text)
    with pytest.raises(CaseError, match=said):
        load(tmp_path / "odd.yml")
