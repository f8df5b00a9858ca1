# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that does not fit is found once, what fits is not, and a sweep takes only what is known to be left."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._audit import audit
from ansible_collections.virtfleet.compute.plugins.plugin_utils._findings import findings_table
from ansible_collections.virtfleet.compute.plugins.plugin_utils._sweep import guards, releasable, swept, to_sweep

DOMAIN = {
    "uuid": "u1",
    "name": "web",
    "ours": True,
    "state": "running",
    "record": {"created_at": "2026-01-01 10:00:00"},
}
CLAIM = {
    "uuid": "u1",
    "name": "web",
    "project": "default",
    "host": "kvm1",
    "state": "active",
    "updated_at": "then",
    "lease_until": "",
    "idle": 9000,
}
DAY = 86400
HISTORY = {"now": "2026-01-01 12:00:00", "age": DAY, "gone": {}}


def trace(kind="folder", name="u9", **more):
    """Return something that lies on the host."""
    told = {"owner": "", "within": "", "age": 7200, "old": 7200, "removable": True}
    return {"kind": kind, "name": name, "evidence": f"{kind} {name}", "remedy": f"rm {name}", **told, **more}


def world(*traces, **more):
    """Return the arguments of a fleet of one host where all fits, with some replaced."""
    told = {
        "hosts": [{"name": "kvm1", "instances": [DOMAIN, {"uuid": "x", "name": "theirs", "ours": False}]}],
        "registry": [CLAIM],
        "traces": {"kvm1": {"traces": [trace(name="u1", owner="u1"), *traces], "unread": {}}},
        "history": HISTORY,
    }
    return {**told, **more}


def off(**more):
    """Return the host with its domain off."""
    return [{"name": "kvm1", "instances": [{**DOMAIN, "state": "shutdown", **more}]}]


def gone(seconds, uuid="u1", host="kvm1"):
    """Return a history in which an instance is gone from a host."""
    return {**HISTORY, "gone": {uuid: {host: seconds}}}


def test_nothing_is_found_where_all_fits():
    assert audit(**world()) == []


@pytest.mark.parametrize(
    "what,traces,more",
    [
        ("domain", [], {"registry": []}),
        ("claim", [], {"registry": [{**CLAIM, "host": "kvm2"}]}),
        ("claim", [], {"registry": [CLAIM, {**CLAIM, "uuid": "u2", "name": "db"}]}),
        ("folder", [trace(owner="u9")], {}),
        ("port", [trace("port", "p2", owner="u9")], {}),
        ("tap", [trace("tap", "tapx")], {}),
        ("bridge", [trace("bridge", "vf-old")], {"keep": {"bridge": ["vf-lan"]}}),
        ("unread", [], {"traces": {"kvm1": {"unread": {"port": "a file is broken"}}}}),
    ],
)
def test_what_does_not_fit_is_found_once(what, traces, more):
    (found,) = audit(**world(*traces, **more))
    assert found["what"] == what and found["host"] == "kvm1" and found["evidence"] and found["remedy"]
    lines = findings_table([found])
    assert lines[1].startswith("kvm1") and what in lines[1] and len(lines) == 4


def test_a_bridge_of_a_network_that_the_inventory_has_is_no_finding():
    assert audit(**world(trace("bridge", "vf-lan"), keep={"bridge": ["vf-lan"]})) == []


def test_a_host_that_does_not_answer_is_a_finding_and_its_claims_are_not():
    far = {"name": "far", "up": False, "disabled_reason": "it cannot be reached: no route", "instances": []}
    claims = [CLAIM, {**CLAIM, "uuid": "u2", "name": "db", "host": "far"}]
    (found,) = audit(**{**world(registry=claims), "hosts": [*world()["hosts"], far]})
    assert found["what"] == "host" and "it was not looked at: it cannot be" in found["evidence"]


def test_traces_that_could_not_be_read_at_all_are_told():
    (found,) = audit(**world(traces={"kvm1": {"failed": True, "msg": "no libvirtd"}}))
    assert found["what"] == "unread" and "no libvirtd" in found["evidence"]


def test_a_domain_on_two_hosts_is_found_on_both_and_never_swept():
    hosts = [{"name": name, "instances": [{**DOMAIN, "state": "shutdown"}]} for name in ("kvm1", "kvm2")]
    found = audit(**world(hosts=hosts, traces={}, history=gone(DAY, host="kvm2")))
    assert [(one["what"], one["host"], one["gc"]) for one in found] == [
        ("double", "kvm1", False),
        ("double", "kvm2", False),
    ]
    assert "its claim is on kvm1" in found[1]["evidence"] and "virsh undefine u1" in found[1]["remedy"]


def test_what_another_run_is_building_is_left_out():
    building = {**CLAIM, "uuid": "u2", "name": "db", "state": "claimed", "lease_until": "later", "expired": False}
    inside = trace("unfinished", "u2/root.new", within="u2")
    assert audit(**world(trace(owner="u2"), inside, registry=[CLAIM, building])) == []


def test_claims_of_hosts_that_did_not_answer_are_left_out():
    assert audit(**world(registry=[CLAIM, {**CLAIM, "uuid": "u2", "name": "db", "host": "kvm9"}])) == []


@pytest.mark.parametrize(
    "hosts,history,gc",
    [
        (off(), HISTORY, False),  # nobody knows that it is to go: the registry may have been lost
        (off(), gone(7200), True),
        (off(), gone(60), False),
        (None, gone(7200), False),  # it runs
    ],
)
def test_a_domain_without_a_claim_goes_if_it_is_off_and_known_to_be_gone(hosts, history, gc):
    given = world(registry=[], history=history)
    found = audit(**{**given, "hosts": hosts or given["hosts"]})
    assert [one["gc"] for one in found if one["what"] == "domain"] == [gc]
    # What belongs to a domain that goes, goes with it; else it is no finding.
    assert [one["gc"] for one in found if one["what"] == "folder"] == ([True] if gc else [])


@pytest.mark.parametrize(
    "more,registry,history,gc",
    [
        ({}, [], HISTORY, True),  # the registry was there before it and never had it
        ({"old": 2 * DAY}, [], HISTORY, False),  # of the time before this registry
        ({"old": None}, [], HISTORY, False),
        ({"old": 2 * DAY}, [], gone(DAY, "u9"), True),
        ({"age": 60}, [], HISTORY, False),
        ({"removable": False}, [], HISTORY, False),
        ({}, [{**CLAIM, "uuid": "u9", "host": "kvm2"}], HISTORY, False),
        ({}, [{**CLAIM, "uuid": "u9", "host": "kvm2"}], gone(DAY, "u9"), True),
        ({}, [{**CLAIM, "uuid": "u9", "state": "claimed", "expired": True, "lease_until": "past"}], HISTORY, True),
    ],
)
def test_a_folder_goes_only_where_its_instance_is_known_to_be_gone(more, registry, history, gc):
    found = audit(**world(trace(owner="u9", **more), registry=[CLAIM, *registry], history=history))
    assert [one["gc"] for one in found if one["what"] == "folder"] == [gc]


def test_the_disk_of_an_instance_whose_domain_is_lost_is_not_even_a_finding_beside_its_claim():
    found = audit(**world(trace(owner="u2"), registry=[CLAIM, {**CLAIM, "uuid": "u2", "name": "db"}]))
    assert [(one["what"], one["gc"]) for one in found] == [("claim", False)]


def test_a_claim_that_nobody_settled_goes_after_its_lease():
    dead = {**CLAIM, "uuid": "u2", "name": "db", "state": "claimed", "lease_until": "past", "expired": True}
    assert [one["gc"] for one in audit(**world(registry=[CLAIM, dead]))] == [True]
    assert [one["gc"] for one in audit(**world(registry=[CLAIM, {**dead, "idle": 60}]))] == [False]


def test_a_sweep_asks_for_guards_and_takes_what_could_be_guarded():
    found = audit(**world(trace(owner="u8", name="u8"), trace(owner="u9"), trace("tap", "tapx")))
    asked = guards(found)
    assert [one["uuid"] for one in asked] == ["u8", "u9"] and asked[0]["host"] == "kvm1"
    guarded = [{**asked[0], "failed": True, "msg": "run r is at work on it"}, {**asked[1], "guarded": True}]
    going = to_sweep(found, "kvm1", guarded)
    assert sorted(one["name"] for one in going) == ["tapx", "u9"] and to_sweep(found, "kvm2", guarded) == []
    results = {
        "kvm1": [{**one, "failed": one["name"] == "tapx", "msg": "in use" * (one["name"] == "tapx")} for one in going]
    }
    after = {one["name"]: one for one in swept(found, results, guarded)}
    assert {name: one["done"] for name, one in after.items()} == {"tapx": "kept", "u8": "kept", "u9": "removed"}
    assert "run r is at work" in after["u8"]["evidence"] and "in use" in after["tapx"]["evidence"]
    assert [one["uuid"] for one in releasable(guarded, after.values())] == ["u9"]
    assert {one["done"] for one in swept(found, results, guarded, True)} == {"kept", "would go"}


@pytest.mark.parametrize(
    "more,history,gc",
    [
        ({}, HISTORY, False),  # another fleet may have it
        ({"old": 2 * DAY}, gone(DAY, "u9", "kvm2"), True),
        ({"old": 2 * DAY, "age": 60}, gone(DAY, "u9", "kvm2"), False),
        ({"old": DAY + 1}, gone(DAY, "u9", "kvm2"), False),
        ({"old": 60 * 60}, gone(DAY, "u9", "kvm2"), False),  # of another fleet's instance of that name
        ({"old": None}, gone(DAY, "u9"), False),
    ],
)
def test_a_disk_in_a_pool_is_told_once_and_goes_only_if_it_is_older_than_the_end_of_its_instance(more, history, gc):
    there = {"traces": [trace("pool_image", "vms/u9_root", owner="u9", **more)], "unread": {}}
    found = audit(**world(traces={"kvm1": there, "kvm2": there}, history=history))
    assert [(one["what"], one["host"], one["gc"]) for one in found] == [("pool_image", "kvm1", gc)]


def test_a_disk_in_a_pool_belongs_to_an_instance_wherever_that_is():
    hosts = [*world()["hosts"], {"name": "kvm2", "instances": [{**DOMAIN, "uuid": "u2"}]}]
    registry = [CLAIM, {**CLAIM, "uuid": "u2", "host": "kvm2"}]
    seen = {"traces": [trace("pool_image", "vms/u2_root", owner="u2")], "unread": {}}
    assert audit(**world(hosts=hosts, registry=registry, traces={"kvm1": seen})) == []


@pytest.mark.parametrize("kind", ["pool_image", "logical_volume"])
def test_a_volume_that_nobody_knows_is_told_and_never_swept(kind):
    one = trace(kind, "vms/v1", volume="v1", removable=False)
    assert audit(**world(one), volumes=["v1"]) == []
    (found,) = audit(**world(one), volumes=["v2"])
    assert not found["gc"] and "neither the registry nor virtfleet_volumes knows it" in found["evidence"]
    (half,) = audit(**world(trace(kind, "vms/v1.new", volume="v1")), volumes=[])
    assert half["gc"]
