# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the names of disks without files say, and which of them may belong to nothing."""

from __future__ import annotations

import json
import uuid

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor.traces import into
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import group, group_traces, named
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes.named import Named
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import record

OURS = str(uuid.uuid5(uuid.NAMESPACE_URL, "a"))
THEIRS = str(uuid.uuid4())


@pytest.mark.parametrize(
    "name,told",
    [
        (f"{OURS}_root", Named(owner=OURS)),
        (f"{OURS}_ephemeral0", Named(owner=OURS)),
        (f"{OURS}_swap.new", Named(owner=OURS, half=True)),
        (OURS, Named(volume=OURS)),
        (f"{OURS}.new", Named(volume=OURS, half=True)),
        ("virtfleet-abc", Named(image=True)),
        (f"virtfleet-abc.{'0' * 32}.new", Named(image=True, half=True)),
        (THEIRS, None),  # Cinder and others derive theirs of nothing
        (f"{OURS}_disk", None),  # Nova's
        (f"{OURS}_root.old", None),
        (f"volume-{OURS}", None),
        ("not-a-uuid-but-of-the-same-length-xyz_root", None),
        ("virtfleet-abc.new", None),
    ],
)
def test_what_a_name_says(name, told):
    assert named.read(name) == told


def row(name, attributes="-wi-------", group="vg0", made="2026-01-01 10:00:00 +0000"):
    return {"vg_name": group, "lv_name": name, "lv_attr": attributes, "lv_time": made}


def found(*rows, now=1767268800):  # two hours after that
    told = json.dumps({"report": [{"lv": list(rows)}]})
    return {one.name: one for one in group_traces.traces(group.parsed(told, {"vg0"}), now)}


def test_logical_volumes_of_ours_are_found_with_their_owner_and_age():
    there = found(row(f"{OURS}_root"), row("root"), row(f"{OURS}_swap", group="vg1"), row("virtfleet-abc"))
    (one,) = there.values()
    assert (one.name, one.owner, one.age, one.old, one.removable) == (f"vg0/{OURS}_root", OURS, 7200, 7200, True)
    assert one.remedy == f"lvremove vg0/{OURS}_root"


def test_one_that_is_open_and_one_with_a_life_of_its_own_stay():
    there = found(row(f"{OURS}_root", "-wi-ao----"), row(OURS))
    assert not there[f"vg0/{OURS}_root"].removable and "it is open" in there[f"vg0/{OURS}_root"].evidence
    assert there[f"vg0/{OURS}"].volume == OURS and not there[f"vg0/{OURS}"].removable


def test_half_made_ones_go_and_one_beside_a_whole_one_belongs_to_nothing():
    half = f"virtfleet-abc.{'0' * 32}.new"
    there = found(row(f"{OURS}_root.new"), row(f"{OURS}_swap"), row(f"{OURS}_swap.new"), row(half), row(f"{OURS}.new"))
    assert there[f"vg0/{OURS}_root.new"].owner == OURS
    beside = there[f"vg0/{OURS}_swap.new"]
    assert (beside.owner, beside.within) == ("", OURS)
    assert there[f"vg0/{half}"].removable and there[f"vg0/{OURS}.new"].removable


def test_a_time_that_lvm_does_not_tell_is_no_age():
    (one,) = found(row(f"{OURS}_root", made="")).values()
    assert one.age is None and one.old is None


def test_pools_are_those_that_are_named_and_those_that_disks_are_in(tmp_path):
    root = {"name": "root", "backend": "lvm", "size_gb": 1, "boot_index": 0, "path": "/dev/vg7/x", "format": "raw"}
    there = {**record(), "volumes": [{**root, "pool": {"volume_group": "vg7"}}]}
    text = domain_xml(Instance.from_record(there), Guest("qemu", str(tmp_path)))
    named_ones = [
        {"backend": "rbd", "pool": "vms", "look": False},
        {"backend": "rbd", "pool": "far", "conf": "/etc/ceph/far.conf", "look": True},
    ]
    looked = into(named_ones, [text, "<domain/>"])
    assert [one.get("pool") or one["volume_group"] for one in looked] == ["vg7", "far"]
