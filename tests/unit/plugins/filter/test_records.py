# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that carry records from stage to stage."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.filter.failures import failures
from ansible_collections.virtfleet.compute.plugins.filter.merge_results import merge_results
from ansible_collections.virtfleet.compute.plugins.filter.of_host import of_host
from ansible_collections.virtfleet.compute.plugins.filter.place import place
from ansible_collections.virtfleet.compute.plugins.filter.to_alternate import to_alternate
from ansible_collections.virtfleet.compute.plugins.filter.unplaced import unplaced

A, B, C = ({"name": name, "uuid": f"u-{name}", "state": "active", "host": None} for name in "abc")


def on(host, record, **more):
    return {**record, "host": host, **more}


def decision(*instances):
    return {"hosts": ["kvm1", "kvm2"], "requests": [{"name": "web", "instances": list(instances)}]}


def test_place_writes_hosts_and_fails_those_without():
    given = decision(
        {"name": "a", "uuid": "u-a", "host": "kvm2", "alternates": ["kvm1"], "reason": "most free"},
        {"name": "b", "uuid": "u-b", "host": None, "alternates": [], "reason": "no host: 2 hosts -> 0 memory"},
    )
    a, b, c = place([A, B, C], given)
    assert a == {**A, "host": "kvm2", "alternates": ["kvm1"], "reason": "most free"}
    assert (b["failed"], b["fault"], b["msg"], b["host"]) == (True, "request", "no host: 2 hosts -> 0 memory", None)
    assert c == C


def test_place_says_something_where_the_scheduler_does_not():
    assert place([A], decision({"name": "a", "uuid": "u-a", "host": None}))[0]["msg"] == "no host passes all filters"


def test_place_leaves_placed_and_failed_ones_alone():
    given = decision({"name": "a", "uuid": "u-a", "host": "kvm2"})
    for record in (on("kvm1", A), {**A, "failed": True}, {**A, "state": "absent"}):
        assert place([record], given) == [record]


def test_of_host():
    run = [on("kvm1", A, reason="most free", alternates=["kvm2"]), on("kvm1", B, failed=True), on("kvm2", C)]
    assert of_host(run, "kvm1") == [on("kvm1", A)]
    gone = [on("kvm1", A, todo="delete"), on("kvm1", B, todo="none")]
    assert of_host(gone, "kvm1") == gone[:1]


def test_merge_keeps_length_and_order_and_what_was_changed_before():
    run = [on("kvm1", A, changed=True), on("kvm2", B), C]
    told = [{"instances": [on("kvm2", B, changed=True, path="/b")]}, {"instances": [on("kvm1", A, changed=False)]}]
    merged = merge_results(run, [*told, {"skipped": True}, None])
    assert [one["name"] for one in merged] == ["a", "b", "c"]
    assert merged[0]["changed"] and merged[1]["path"] == "/b" and merged[2] == C
    assert merge_results(run, [told[0]["instances"]])[1]["path"] == "/b"


def test_merge_fails_those_on_a_lost_host():
    run = [on("kvm1", A), on("kvm2", B, failed=True, msg="before"), on("kvm2", C)]
    a, b, c = merge_results(run, [], lost=["kvm2"])
    assert a == run[0] and b == run[1]
    assert (c["failed"], c["fault"]) == (True, "host") and "kvm2" in c["msg"]
    half_way = merge_results(run, [[on("kvm2", C, path="/c")]], lost=["kvm2"])[2]
    assert half_way["failed"] and half_way["undone"] is False and half_way["path"] == "/c"


def test_only_faults_of_a_host_are_tried_on_the_next():
    lost = on("kvm1", A, failed=True, fault="host", msg="disk full", alternates=["kvm2", "kvm3"], vnc="x")
    (moved,) = to_alternate([lost])
    assert (moved["host"], moved["alternates"], moved["attempts"], moved["failed"]) == ("kvm2", ["kvm3"], 2, False)
    assert moved["tried"] == [{"host": "kvm1", "msg": "disk full"}]
    assert "msg" not in moved and "vnc" not in moved
    for stays in ({**lost, "fault": "request"}, {**lost, "alternates": []}, {**lost, "attempts": 3}, A):
        assert to_alternate([stays]) == [stays]


def test_failures_name_the_instance_the_host_and_why():
    run = [on("kvm1", A, failed=True, msg="disk full"), B, {**C, "failed": True}]
    assert failures(run) == ["a on kvm1: disk full", "c: no reason was given"]


def test_what_its_host_refused_is_placed_again_and_not_twice_in_vain():
    new = {
        "todo": "create",
        "scheduling": {"entry": "a"},
        "failed": True,
        "fault": "host",
        "msg": "full",
        "reason": "x",
    }
    (free,) = unplaced([on("kvm1", A, **new, alternates=["kvm2"])])
    assert not free["failed"] and free["refusals"] == {"kvm1": "full"} and free["scheduling"] == {"entry": "a"}
    assert not {"host", "alternates", "msg", "fault", "reason"} & set(free)
    (other,) = unplaced([{**free, **new, "host": "kvm1", "msg": "fuller"}])
    assert other["scheduling"] == {"entry": "a"} and other["refusals"] == {"kvm1": "fuller"}
    (again,) = unplaced([{**other, **new, "host": "kvm1", "msg": "fuller", "scheduling": {"ignore_hosts": ["kvm9"]}}])
    assert again["scheduling"]["ignore_hosts"] == ["kvm1", "kvm9"]
    refused = on("kvm1", A, **new)
    for stays in (
        {**refused, "fault": "request"},
        {**refused, "claim_state": "claimed"},
        {**refused, "todo": "wait"},
        A,
    ):
        assert unplaced([stays]) == [stays]
