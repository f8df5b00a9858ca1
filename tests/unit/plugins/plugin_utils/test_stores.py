# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each host looks into its own groups, and one of them into a pool that all see."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.plugin_utils._stores import known_disks, stores_of

CEPH = {"backend": "rbd", "pool": "vms", "qos": {"total_iops_sec": 5}}
LVM = {"backend": "lvm", "volume_group": "vg0", "thin_pool": "guests"}


def test_who_looks_where():
    types = {"kvm1": {"a": CEPH}, "kvm2": {"a": CEPH, "again": {**CEPH, "cache": "none"}, "l": LVM}, "kvm3": {"l": LVM}}
    assert stores_of(types, "kvm1") == [{"backend": "rbd", "pool": "vms", "look": True}]
    assert stores_of(types, "kvm2") == [
        {"backend": "rbd", "pool": "vms", "look": False},
        {"backend": "lvm", "volume_group": "vg0", "look": True},
    ]
    assert [one["look"] for one in stores_of(types, "kvm3")] == [True]


def test_files_and_servers_are_no_such_places_and_a_host_without_types_has_none():
    assert stores_of({"kvm1": {"f": {"backend": "qcow2"}, "n": {"backend": "nbd", "server": "s"}}}, "kvm1") == []
    assert stores_of({"kvm1": None}, "kvm1") == [] and stores_of({}, "kvm1") == []


def test_whose_disks_are_left_out():
    ours = {"uuid": "u1", "ours": True, "record": {"volumes": [{"name": "root"}, {"name": "data", "id": "v1"}]}}
    hosts = [{"instances": [ours, {"uuid": "x", "ours": False}]}, {"instances": [{"uuid": "u2", "ours": True}]}, {}]
    assert known_disks(hosts) == ["u1", "u2", "v1"]
