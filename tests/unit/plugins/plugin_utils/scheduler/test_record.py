# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records: plain, bounded, put together again, replayed."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.decide import decide
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.record import expand
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.replay import replay, seal
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.text import lines


def host(name, **more):
    """Return a host record."""
    return {
        "name": name,
        "vcpus": 16,
        "vcpus_used": 0,
        "memory_mb": 33280,
        "memory_mb_used": 0,
        "disk_gb": 500,
        "disk_gb_used": 0,
        **more,
    }


SKETCH_HOSTS = [
    host("kvm01", enabled=False),
    host("kvm07", memory_mb_used=32768 - 7420),
    host("kvm12", instances=[{"uuid": "w1", "name": "web-1"}], memory_mb_used=8192),
]
SKETCH = [
    {
        "name": "web-3",
        "flavor_name": "m1.large",
        "vcpus": 4,
        "memory_mb": 8192,
        "disk_gb": 40,
        "server_group": {"name": "web", "policy": "anti-affinity", "members": ["w1"]},
    }
]
SKETCH_POLICY = {"flavors": {"m1.medium": {"vcpus": 2, "memory_mb": 4096, "disk_gb": 40}}}


@pytest.fixture
def record():
    return seal(decide(SKETCH, SKETCH_HOSTS, SKETCH_POLICY))


def test_it_prints_as_people_need_it(record):
    assert lines(record) == [
        "web-3  m1.large (4 vCPU, 8 GiB, 40 GiB)  group web: anti-affinity           no host",
        "  3 hosts -> 2 enabled -> 1 memory -> 0 anti-affinity",
        "  nearest    kvm07  needs 8192 MiB of promises, has 7420 (short 772)",
        "             kvm12  everything fits, but web-1 runs there (group web)",
        "             kvm01  everything fits, but is disabled",
        "  would fit  group web as soft-anti-affinity  -> kvm12",
        "             flavor m1.medium (4096 MiB)      -> kvm07",
    ]


def test_a_saved_record_replays(record):
    saved = json.loads(json.dumps(record))
    assert replay(saved) == {"identical": True, "difference": None}


def test_a_replay_names_the_first_step_that_differs(record):
    saved = json.loads(json.dumps(record))
    saved.pop("digests")
    step = next(step for step in saved["requests"][0]["steps"] if step["name"] == "MEMORY_MB capacity")
    step["out"], step["fell"] = 2, []
    told = replay(saved)
    assert told == {
        "identical": False,
        "difference": "request web-3: step MEMORY_MB capacity: 2 hosts left then, 1 now",
    }


def test_a_changed_input_is_not_replayed(record):
    saved = json.loads(json.dumps(record))
    saved["input"]["hosts"][0]["memory_mb"] += 1
    with pytest.raises(ItemError, match="the record's hosts do not have the digest"):
        replay(saved)


def test_what_is_no_record_is_refused():
    with pytest.raises(ItemError, match="this is no decision record"):
        replay({"hosts": []})


def test_a_batch_repeats_nothing():
    hosts = [host(f"kvm{number:03}", memory_mb=33280 + number) for number in range(200)]
    request = {"name": "vm", "vcpus": 1, "memory_mb": 512, "disk_gb": 1}
    one = len(json.dumps(decide([request], hosts)["requests"]))
    hundred = decide([{**request, "num_instances": 100}], hosts)
    assert len(json.dumps(hundred["requests"])) < one + 100 * 1500
    full = expand(hundred, 0, 99)
    assert len(full["weights"]) == 200
    assert (
        full["final"][full["host"]] == max(full["final"].values()) == hundred["requests"][0]["instances"][99]["weight"]
    )


def test_the_input_is_left_as_it_was():
    hosts, requests, policy = copy.deepcopy((SKETCH_HOSTS, SKETCH, SKETCH_POLICY))
    decide(requests, hosts, policy)
    assert (hosts, requests, policy) == (SKETCH_HOSTS, SKETCH, SKETCH_POLICY)


def test_later_instances_without_a_host_share_the_explanation():
    record = decide([{"name": "vm", "vcpus": 1, "memory_mb": 20000, "disk_gb": 1, "num_instances": 3}], [host("a")])
    assert [instance.get("same_as") for instance in record["requests"][0]["instances"]] == [None, None, 1]
    assert expand(record, 0, 2)["name"] == "vm-3"
    assert lines(record)[-1] == "  as vm-2"
