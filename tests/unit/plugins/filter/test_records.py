# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that carry records from stage to stage."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.filter.failures import failures
from ansible_collections.virtfleet.compute.plugins.filter.merge_results import merge_results
from ansible_collections.virtfleet.compute.plugins.filter.not_moved import not_moved
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
    refused = {**A, "refusals": {"kvm1": "kvm1 has a domain a that is not ours", "kvm2": "kvm2 is full"}}
    (told,) = place([refused], decision({"name": "a", "uuid": "u-a", "host": None}))
    both = "kvm1 has a domain a that is not ours; kvm2 is full"
    assert told["msg"] == f"{both}; no other host takes it: no host passes all filters"


def test_place_leaves_placed_and_failed_ones_alone():
    given = decision({"name": "a", "uuid": "u-a", "host": "kvm2"})
    for record in (on("kvm1", A), {**A, "failed": True}, {**A, "state": "absent"}):
        assert place([record], given) == [record]


def test_of_host():
    run = [on("kvm1", A, reason="most free", alternates=["kvm2"]), on("kvm1", B, failed=True), on("kvm2", C)]
    assert of_host(run, "kvm1") == [on("kvm1", A)]
    gone = [on("kvm1", A, todo="delete"), on("kvm1", B, todo="none")]
    assert of_host(gone, "kvm1") == gone[:1]


def test_one_that_waits_for_an_address_has_its_turn_after_the_one_that_has_it():
    taker, giver = (
        on("kvm1", A, todo="update", existing=True, waits=["u-b"]),
        on("kvm2", B, todo="update", existing=True),
    )
    assert of_host([taker, giver], "kvm1") == [] and of_host([taker], "kvm1", waiting=True) == [taker]
    waits, done = to_alternate([taker, giver])
    assert waits == {**taker, "turns": 1} and done["todo"] == "none"
    assert to_alternate([taker, giver], planned=True)[0]["todo"] == "none"
    failed, _done = to_alternate([taker, {**giver, "failed": True, "fault": "host", "msg": "no room"}])
    assert failed["failed"] and (failed["todo"], failed["fault"], failed["waits"]) == ("none", "request", [])
    assert failed["msg"] == "its floating_ip is still that of b, which could not be changed: no room"
    (late, _done) = to_alternate([{**taker, "turns": 2}, giver])
    assert late["failed"] and "run again" in late["msg"]


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
    assert half_way["failed"] and half_way["undone"] is False and half_way["path"] == "/c" and half_way["lost"]
    told = [on("kvm2", C, failed=True, fault="request", msg="bad image", failed_in="images")]
    bad = merge_results(run, [told], lost=["kvm2"])[2]
    assert (bad["fault"], bad["undone"], bad["msg"]) == ("request", False, "bad image")
    gone = merge_results(run, [[{**told[0], "undone": True}]], lost=["kvm2"])[2]
    assert gone["undone"] is True and "lost" not in gone


NEW = {"todo": "create", "existing": False, "claim_state": "claimed", "scheduling": {"entry": "a"}}
FULL = {**NEW, "failed": True, "fault": "host", "msg": "disk full", "undone": True, "failed_in": "volumes"}


def test_only_faults_of_a_host_are_tried_on_the_next():
    full = on("kvm1", A, **FULL, alternates=["kvm2", "kvm3"], vnc="x")
    (moved,) = to_alternate([full])
    assert (moved["host"], moved["alternates"], moved["attempts"], moved["failed"]) == (
        "kvm1",
        ["kvm2", "kvm3"],
        2,
        False,
    )
    assert moved["tried"] == [{"host": "kvm1", "msg": "disk full", "failed_in": "volumes", "undone": True}]
    assert moved["scheduling"] == {"entry": "a", "ignore_hosts": ["kvm1"]} and moved["todo"] == "create"
    assert not {"msg", "vnc", "undone", "failed_in", "fault"} & set(moved)
    for stays in ({"fault": "request"}, {"attempts": 3}, {"existing": True}, {"claim_state": None}):
        (kept,) = to_alternate([{**full, **stays}])
        assert kept == {**full, **stays, "todo": "none"}
    assert to_alternate([{**A, **NEW, "failed": False}, {**A, "todo": "wait"}]) == [
        {**A, **NEW, "failed": False, "todo": "none"},
        {**A, "todo": "wait"},
    ]
    assert to_alternate([{**full, "attempts": 2}], max_attempts=2)[0]["failed"]


@pytest.mark.parametrize("lost", [{"lost": True}, {}])
@pytest.mark.parametrize("stage", ["images", "volumes", "config_drives", "ports"])
def test_a_host_that_cannot_undo_is_left_before_the_domain(stage, lost):
    (moved,) = to_alternate([on("kvm1", A, **{**FULL, "failed_in": stage, "undone": False, **lost})])
    assert not moved["failed"] and "cannot run there" in moved["tried"][0]["msg"] and "lost" not in moved


@pytest.mark.parametrize(
    "more", [{"failed_in": "domains"}, {"failed_in": "ready"}, {"failed_in": None}, {"adopted": True}]
)
def test_what_may_run_on_a_lost_host_is_never_tried_elsewhere(more):
    lost = on("kvm1", A, **{**FULL, "undone": False, "lost": True, **more})
    (stays,) = to_alternate([lost])
    assert stays == {**lost, "todo": "none", "msg": "disk full; it may run there, so it is not tried on another host"}


@pytest.mark.parametrize("more", [{"failed_in": "domains"}, {"failed_in": None}, {"adopted": True}])
def test_what_could_not_be_undone_may_run_and_is_never_tried_elsewhere(more):
    failed = on("kvm1", A, **{**FULL, "msg": "no libvirt; could not be undone: no libvirt", "undone": False, **more})
    (stays,) = to_alternate([failed])
    way = "it may run there, so it is not tried on another host: mend that host and run again"
    assert stays == {**failed, "todo": "none", "msg": f"no libvirt; could not be undone: no libvirt; {way}"}


@pytest.mark.parametrize("undone", [True, False])
def test_what_no_other_host_takes_has_failed_where_it_was(undone):
    lost = {} if undone else {"lost": True}
    (moving,) = to_alternate([on("kvm1", A, **{**FULL, "undone": undone, **lost})])
    reason = moving["tried"][0]["msg"]
    nowhere = {**moving, "failed": True, "fault": "request", "msg": "no host: 1 host -> 0"}
    del nowhere["host"]
    (stays,) = not_moved([nowhere])
    assert (stays["host"], stays["undone"], stays["attempts"], stays["tried"]) == ("kvm1", undone, 1, [])
    assert stays["msg"] == f"{reason}; no other host takes it: 1 host -> 0" and stays["todo"] == "none"
    assert stays["fault"] == "host" and stays["failed"]
    fine = {**moving, "host": "kvm2"}
    assert not_moved([fine, A]) == [fine, A]


def test_failures_name_the_instance_the_host_and_why():
    run = [on("kvm1", A, failed=True, msg="disk full"), B, {**C, "failed": True}]
    assert failures(run) == ["a on kvm1: disk full", "c: no reason was given"]
    tried = [{"host": "kvm2", "msg": "no bridge"}]
    assert failures([{**run[0], "tried": tried}]) == ["a on kvm1: disk full; before that on kvm2: no bridge"]


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
        {**refused, "existing": True},
        {**refused, "todo": "wait"},
        A,
    ):
        assert unplaced([stays]) == [stays]
