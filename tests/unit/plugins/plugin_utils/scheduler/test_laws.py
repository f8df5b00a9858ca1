# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws that hold on any fleet: what a decision must never do, whatever the numbers."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess
import sys

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.decide import decide
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.record import expand

# The directory that has ansible_collections, wherever the tests run.
COLLECTIONS = pathlib.Path(decide.__code__.co_filename).parents[6]
TRAITS = ["CUSTOM_GOLD", "HW_CPU_X86_AVX2"]
FLAVORS = {
    name: {"vcpus": vcpus, "memory_mb": memory, "disk_gb": disk}
    for name, vcpus, memory, disk in (("tiny", 1, 512, 1), ("small", 2, 2048, 10), ("large", 4, 8192, 40))
}
POLICY = {
    "flavors": FLAVORS,
    "filters": ["ComputeFilter", "ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter"],
}
quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def hosts(draw):
    """Return one to six host records, with instances that tell their size, and what those use."""
    records = []
    for number in range(draw(st.integers(1, 6))):
        vcpus, memory = draw(st.sampled_from([4, 8, 16])), draw(st.sampled_from([4096, 8192, 16384]))
        sizes = draw(st.lists(st.sampled_from(sorted(FLAVORS)), max_size=4))
        instances = [
            {"uuid": f"i{number}-{place}", "name": f"i{number}-{place}", **FLAVORS[size]}
            | {"server_group": draw(st.sampled_from([None, "g"]))}
            for place, size in enumerate(sizes)
        ]
        used = {f"{key}_used": sum(one[key] for one in instances) for key in ("vcpus", "memory_mb", "disk_gb")}
        records.append(
            {
                "name": f"kvm{number}",
                "vcpus": vcpus,
                "memory_mb": memory,
                "disk_gb": draw(st.sampled_from([50, 100, 400])),
                "cpu_allocation_ratio": draw(st.sampled_from([1.0, 2.0, 4.0])),
                "reserved_memory_mb": draw(st.sampled_from([0, 512])),
                "enabled": draw(st.booleans()) or number == 0,
                "up": draw(st.booleans()) or number == 1,
                "traits": draw(st.lists(st.sampled_from(TRAITS), unique=True)),
                "labels": {"rack": draw(st.sampled_from(["a", "b"]))},
                "instances": instances,
                **used,
            }
        )
    return records


@st.composite
def requests(draw):
    """Return one to three requests."""
    asked = []
    for number in range(draw(st.integers(1, 3))):
        size = draw(st.sampled_from(sorted(FLAVORS)))
        request = {"name": f"r{number}", "flavor_name": size, **FLAVORS[size], "num_instances": draw(st.integers(1, 4))}
        if draw(st.booleans()):
            policy = draw(st.sampled_from(["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]))
            request["server_group"] = {"name": "g", "policy": policy}
        if draw(st.booleans()):
            request["extra_specs"] = {
                f"trait:{draw(st.sampled_from(TRAITS))}": draw(st.sampled_from(["required", "forbidden"]))
            }
        if draw(st.booleans()):
            request["spread"] = {"by": "rack", "policy": draw(st.sampled_from(["hard", "soft"]))}
        if draw(st.booleans()):
            request["instance_uuids"] = [f"u{number}-{place}" for place in range(request["num_instances"])]
        if draw(st.booleans()):
            request["min_count"] = request["num_instances"]
        asked.append(request)
    return asked


class Ledger:
    """A plain account of what runs where, kept by the test in its own way."""

    def __init__(self, records):
        self.records = {record["name"]: record for record in records}
        self.on = {name: [dict(one) for one in record["instances"]] for name, record in self.records.items()}

    def fits(self, name, request):
        """Return whether the host has room for one instance, by placement's rule."""
        record = self.records[name]
        for key, ratio, reserved in (
            ("vcpus", record["cpu_allocation_ratio"], 0),
            ("memory_mb", 1.0, record["reserved_memory_mb"]),
            ("disk_gb", 1.0, 0),
        ):
            used = sum(one[key] for one in self.on[name])
            if used + request[key] > (record[key] - reserved) * ratio or request[key] > record[key]:
                return False
        return True

    def allows(self, name, request, batch):
        """Return whether every hard rule lets one instance of the request come to the host."""
        if not self.fits(name, request):
            return False
        if not self.could(name, request):
            return False
        group = request.get("server_group")
        members = {host: sum(one.get("server_group") == "g" for one in ones) for host, ones in self.on.items()}
        if group and group["policy"] == "anti-affinity" and members[name]:
            return False
        if group and group["policy"] == "affinity" and any(members.values()) and not members[name]:
            return False
        return self.spreads(name, request, batch, members)

    def could(self, name, request):
        """Return whether the host could take an instance of the request if it were empty."""
        record = self.records[name]
        suits = all(
            (key.partition(":")[2] in record["traits"]) == (form == "required")
            for key, form in request.get("extra_specs", {}).items()
        )
        big = any(request[key] > record[key] for key in ("vcpus", "memory_mb", "disk_gb"))
        return record["enabled"] and record["up"] and suits and not big

    def spreads(self, name, request, batch, members):
        """Return whether a hard spread lets the host's rack have one more."""
        if request.get("spread", {}).get("policy") != "hard":
            return True
        racks = {}
        for host, record in self.records.items():
            mine = members[host] if request.get("server_group") else batch.count(host)
            racks[record["labels"]["rack"]] = racks.get(record["labels"]["rack"], 0) + mine
        usable = {one["labels"]["rack"] for host, one in self.records.items() if self.could(host, request)}
        mine = self.records[name]["labels"]["rack"]
        return racks[mine] + 1 - min(racks[rack] for rack in usable) <= 1

    def place(self, name, request):
        """Count one instance of the request on the host."""
        group = (request.get("server_group") or {}).get("name")
        self.on[name].append({key: request[key] for key in ("vcpus", "memory_mb", "disk_gb")} | {"server_group": group})


@quick
@given(hosts(), requests())
def test_no_cap_is_broken_no_rule_is_broken_and_no_host_means_that_there_is_none(records, asked):
    record = decide(asked, records, POLICY)
    ledger = Ledger(records)
    for request, told in zip(asked, record["requests"], strict=True):
        batch, before = [], copy.deepcopy(ledger.on)
        for instance in told["instances"]:
            if instance["host"]:
                assert ledger.allows(instance["host"], request, batch)
                ledger.place(instance["host"], request)
                batch.append(instance["host"])
            elif "withdrawn" not in told:
                assert not [name for name in ledger.records if ledger.allows(name, request, batch)]
        if "withdrawn" in told:
            assert told["placed"] == 0
            assert ledger.on == before


@quick
@given(hosts(), requests(), st.randoms())
def test_the_answer_does_not_depend_on_the_order_of_the_hosts(records, asked, random):
    shuffled = list(records)
    random.shuffle(shuffled)
    assert json.dumps(decide(asked, shuffled, POLICY)) == json.dumps(decide(asked, records, POLICY))


@quick
@given(hosts(), requests())
def test_a_later_instance_is_weighed_as_if_everything_were_weighed_anew(records, asked):
    """What is updated from one placement to the next is what a run without the earlier instances' updates says."""
    record = decide(asked, records, POLICY)
    for place, told in enumerate(record["requests"]):
        for position, instance in enumerate(told["instances"]):
            if not instance["host"]:
                continue
            full = expand(record, place, position)
            best = max(full["final"].values())
            assert abs(full["final"][instance["host"]] - best) < 1e-12
            assert instance["host"] == min(host for host, weight in full["final"].items() if weight == best)
            assert abs(instance["weight"] - best) < 1e-12
            assert not set(instance["alternates"]) & {instance["host"]}


@quick
@given(hosts(), requests())
def test_a_batch_is_decided_like_as_many_single_requests(records, asked):
    """A batch updates what one placement changed; single requests look at all hosts anew each time."""
    request = {key: value for key, value in asked[0].items() if key not in ("min_count", "instance_uuids")}
    if not request.get("server_group"):
        request.pop("spread", None)
    single = [
        {**request, "name": f"{request['name']}-{number}", "num_instances": 1}
        for number in range(request["num_instances"])
    ]
    batch = decide([request], records, POLICY)["requests"][0]["instances"]
    alone = [told["instances"][0] for told in decide(single, records, POLICY)["requests"]]
    assert [one["host"] for one in batch] == [one["host"] for one in alone]
    assert [one["weight"] for one in batch if one["host"]] == [one["weight"] for one in alone if one["host"]]


@quick
@given(hosts(), requests())
def test_what_would_fit_does_fit_when_it_is_tried(records, asked):
    record = decide(asked[:1], records, POLICY)
    told, request = record["requests"][0], asked[0]
    if told["advice"] is None or told["placed"] or "withdrawn" in told:
        return
    for proposal in told["advice"]["would_fit"]:
        changed, world = changed_by(proposal, request, records)
        one = {
            key: value for key, value in changed.items() if key not in ("num_instances", "min_count", "instance_uuids")
        }
        again = decide([one], world, POLICY)["requests"][0]
        assert again["instances"][0]["host"] == proposal["host"] or proposal["change"].count(" moved from ")
        assert again["placed"] == 1


def changed_by(proposal, request, records):
    """Return the request and the hosts with the proposal followed."""
    change = proposal["change"]
    if change.startswith("group g as "):
        return {**request, "server_group": {"name": "g", "policy": change.rpartition(" ")[2]}}, records
    if change.startswith("spread by"):
        return {**request, "spread": {"by": "rack", "policy": "soft"}}, records
    if change.startswith("flavor "):
        name = change.split()[1]
        return {**request, **FLAVORS[name], "flavor_name": name, "extra_specs": {}}, records
    mover, _moved, _from, source, _to, target = change.split()
    world = copy.deepcopy(records)
    places = {one["name"]: one for one in world}
    instance = next(one for one in places[source]["instances"] if one["name"] == mover)
    places[source]["instances"].remove(instance)
    places[target]["instances"].append(instance)
    for key in ("vcpus", "memory_mb", "disk_gb"):
        places[source][f"{key}_used"] -= instance[key]
        places[target][f"{key}_used"] += instance[key]
    return request, world


@quick
@given(hosts(), requests())
def test_with_n_plus_one_any_host_may_fail_after_every_placement(records, asked):
    for host in records:
        host["vcpus"], host["cpu_allocation_ratio"] = 64, 1.0
    record = decide(asked, records, {**POLICY, "n_plus_one": True})
    ledger = Ledger(records)
    for request, told in zip(asked, record["requests"], strict=True):
        for instance in told["instances"]:
            if instance["host"]:
                ledger.place(instance["host"], request)
                assert all(absorbs(ledger, failing) for failing in ledger.on)


def absorbs(ledger, failing):
    """Return whether every instance of a host finds room on the others, by trying all ways."""
    if not ledger.records[failing]["up"]:
        return True
    others = [name for name, one in ledger.records.items() if name != failing and one["enabled"] and one["up"]]

    def settle(left):
        if not left:
            return True
        for name in others:
            if ledger.fits(name, left[0]):
                ledger.on[name].append(left[0])
                done = settle(left[1:])
                ledger.on[name].pop()
                if done:
                    return True
        return False

    return settle(sorted(ledger.on[failing], key=lambda one: -one["memory_mb"]))


SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.decide import decide
print(json.dumps(decide(**json.loads(sys.argv[2]))))
"""
SEEDED = {
    "hosts": [
        {
            "name": f"h{number}",
            "vcpus": 8,
            "vcpus_used": number % 3,
            "memory_mb": 8192,
            "memory_mb_used": 512 * number,
            "disk_gb": 100,
            "disk_gb_used": number,
            "traits": ["B", "A"],
            "instances": ["u1", "u2"][: number % 3],
            "aggregates": [{"name": "x", "metadata": {"filter_tenant_id": "p,q", "cpu_weight_multiplier": "2"}}],
        }
        for number in range(7)
    ],
    "requests": [
        {
            "name": "w",
            "vcpus": 1,
            "memory_mb": 1024,
            "disk_gb": 1,
            "num_instances": 30,
            "project_id": "z",
            "server_group": {"name": "g", "policy": "soft-anti-affinity", "members": ["u1", "u2"]},
            "hints": {"different_host": ["u2", "u1"]},
            "extra_specs": {"trait:A": "required", "trait:B": "required", "trait:C": "forbidden"},
        }
    ],
    "policy": {"filters": ["ComputeFilter", "DifferentHostFilter", "AggregateMultiTenancyIsolation"]},
}


def test_the_same_input_gives_the_same_bytes_under_any_hash_seed():
    answers = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(COLLECTIONS), json.dumps(SEEDED)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(answers) == 1
