# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each way in which what runs can differ from the spec is told, and what is the same is not."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.virtfleet.compute.plugins.filter.unanswered import unanswered
from ansible_collections.virtfleet.compute.plugins.plugin_utils._findings import findings_table, spoken_age
from ansible_collections.virtfleet.compute.plugins.plugin_utils._rebuild import spec_differences, undecided
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.resolve import request

SPEC = {
    "virtfleet_flavors": {
        "small": {"vcpus": 1, "memory_mb": 64, "disk_gb": 1},
        "large": {"vcpus": 2, "memory_mb": 64, "disk_gb": 1},
    },
    "virtfleet_images": {"halt": {"url": "file:///halt.raw", "disk_format": "raw"}},
    "virtfleet_networks": {
        name: {"type": "bridge", "bridge": "br0", "subnets": [{"cidr": f"10.{number}.0.0/24"}]}
        for number, name in enumerate(("lan", "dmz"))
    },
}
WEB = {"name": "web", "flavor": "small", "image": "halt", "networks": [{"network": "lan"}]}


def records(*entries):
    """Return the records that stage request makes of the entries."""
    told, problems = request({**SPEC, "virtfleet_instances": list(entries)})
    assert not problems
    return told


def found(record, state="running", host="kvm1", **more):
    """Return what the host of a booted instance tells."""
    remembered = copy.deepcopy({**record, "host": host, **more})
    for port in remembered["ports"]:
        port["addresses"] = [{"address": "10.0.0.9", "prefix": 24}]
    return {"uuid": record["uuid"], "state": state, "host": host, "record": remembered, "ours": True}


def test_what_is_as_the_spec_says_is_not_told():
    (web,) = records(WEB)
    assert spec_differences([found(web)], [web]) == []


@pytest.mark.parametrize(
    "now,state,what,words",
    [
        ({"flavor": "large"}, "running", "changed", "flavor.vcpus 1 -> 2"),
        ({"networks": [{"network": "dmz"}]}, "running", "changed", "port 0 network 'lan' -> 'dmz'"),
        (
            {"networks": [{"network": "lan", "fixed_ip": "10.0.0.7"}]},
            "running",
            "changed",
            "port 0 fixed_ip None -> '10.0.0.7'",
        ),
        ({"tags": ["x"]}, "running", "changed", "tags [] -> ['x']"),
        ({}, "shutdown", "power", "it is shutdown here and the spec says active"),
        ({"state": "absent"}, "running", "extra", "the spec says absent"),
    ],
)
def test_what_differs_is_told_once(now, state, what, words):
    (before,), (after,) = records(WEB), records({**WEB, **now})
    (told,) = spec_differences([found(before, state)], [after])
    assert told["what"] == what and words in told["evidence"] and told["remedy"].startswith("boot.yml")


def test_what_only_one_side_has():
    web, db = records(WEB, {**WEB, "name": "db"})
    told = spec_differences([found(db)], [web])
    about = [(one["what"], one["name"], one["host"]) for one in told]
    assert about == [("missing", "web", "-"), ("extra", "db", "kvm1")]
    assert "delete.yml -e names=db" in told[1]["remedy"]


def test_undecided_parts_the_evidence_and_the_way_out():
    failed = {"name": "web", "host": "kvm1", "failed": True, "msg": "it is here; and there; undefine one"}
    (told,) = undecided([failed, {"name": "db", "failed": False}])
    assert (told["evidence"], told["remedy"]) == ("it is here; and there", "undefine one")
    table = findings_table([told])
    assert table[0].split() == ["HOST", "WHAT", "NAME", "AGE", "GC"] and table[-1] == "    -> undefine one"


@pytest.mark.parametrize("seconds,words", [(None, "-"), (0, "0s"), (59, "59s"), (3600, "1h"), (200000, "2d")])
def test_ages(seconds, words):
    assert spoken_age(seconds) == words


def test_a_host_that_did_not_answer_is_not_left_out_unless_it_is_lost():
    hosts = [{"name": "kvm1", "up": True}, {"name": "kvm2", "up": False, "disabled_reason": "no route"}]
    assert unanswered(hosts[:1], ["kvm1"]) == ""
    refusal = unanswered(hosts, ["kvm1", "kvm2", "kvm3"])
    assert refusal.startswith("2 of 3 hosts did not answer") and "kvm2: no route" in refusal
    assert '{"rebuild_without": ["kvm2"]}' in refusal
    assert unanswered(hosts, ["kvm1", "kvm2"], ["kvm2"]) == ""
    assert "group compute" in unanswered([], [])
