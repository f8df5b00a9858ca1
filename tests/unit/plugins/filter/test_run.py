# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to do in a run, and what is given up."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.virtfleet.compute.plugins.action.placements import compare, silence
from ansible_collections.virtfleet.compute.plugins.filter.absent import absent
from ansible_collections.virtfleet.compute.plugins.filter.busy_hosts import busy_hosts
from ansible_collections.virtfleet.compute.plugins.filter.existing import existing
from ansible_collections.virtfleet.compute.plugins.filter.give_up import give_up
from ansible_collections.virtfleet.compute.plugins.filter.held_claims import held_claims
from ansible_collections.virtfleet.compute.plugins.filter.of_host import of_host
from ansible_collections.virtfleet.compute.plugins.filter.plan import plan
from ansible_collections.virtfleet.compute.plugins.filter.recorded import recorded
from ansible_collections.virtfleet.compute.plugins.plugin_utils._to_do import leftovers, to_do

WEB = {"name": "web", "uuid": "u-web", "state": "active", "spec_digest": "d1", "host": None}
FOUND = {"name": "web", "uuid": "u-web", "ours": True, "state": "running", "spec_digest": "d1"}


@pytest.mark.parametrize(
    "record,found,todo,there",
    [
        (WEB, None, "create", False),
        (WEB, FOUND, "none", True),
        (WEB, {**FOUND, "spec_digest": "d0"}, "update", True),
        (WEB, {**FOUND, "state": "shutdown"}, "start", True),
        (WEB, {**FOUND, "state": "paused"}, "start", True),
        ({**WEB, "state": "stopped"}, FOUND, "stop", True),
        ({**WEB, "state": "stopped"}, {**FOUND, "state": "shutdown"}, "none", True),
        ({**WEB, "state": "absent"}, FOUND, "delete", True),
        ({**WEB, "state": "absent"}, None, "none", False),
        (WEB, {**FOUND, "ours": False}, "create", False),
        ({**WEB, "failed": True}, FOUND, "none", True),
        (WEB, {**FOUND, "damaged": True}, "update", True),
        ({**WEB, "state": "absent"}, {**FOUND, "damaged": True}, "delete", True),
    ],
)
def test_to_do(record, found, todo, there):
    (told,) = to_do([record], [found] if found else [])
    assert (told["todo"], told["existing"]) == (todo, there)
    assert told["failed"] is record.get("failed", False)


def test_what_a_killed_run_left_is_deleted_where_it_is_and_does_not_exist():
    left = leftovers([{"name": "kvm1", "extra": {"leftovers": ["u-web"]}}, {"name": "kvm2"}])
    (gone,) = to_do([{**WEB, "state": "absent"}], [], left)
    assert (gone["todo"], gone["host"], gone["existing"]) == ("delete", "kvm1", False)
    (new,) = to_do([WEB], [], left)
    assert (new["todo"], new["host"], new["existing"]) == ("create", None, False)
    (foreign,) = to_do([{**WEB, "state": "absent"}], [{**FOUND, "ours": False}], left)
    assert foreign["todo"] == "none"


def test_a_fleet_in_which_nobody_answers_says_why():
    far = {"name": "far", "up": False, "disabled_reason": "it cannot be reached: no route"}
    deaf = {"name": "deaf", "up": False, "disabled_reason": "no libvirtd"}
    assert silence([far, deaf, {"name": "kvm1", "up": True}]) == ""
    assert silence([far, deaf]) == (
        "no compute host answers, so nothing was done: far: it cannot be reached: no route; deaf: no libvirtd"
    )
    assert "add one" in silence([])


def test_busy_hosts_are_those_with_something_to_do():
    run = [{"host": "b", "todo": "create"}, {"host": "a", "todo": "none"}, {"host": None, "todo": "create"}]
    assert busy_hosts(run) == ["b"]
    assert busy_hosts(run, pattern=True) == "b,localhost"  # a play with no host left would end the playbook
    assert busy_hosts([{"host": "c", "todo": "wait"}]) == []
    assert busy_hosts(run[1:], pattern=True) == "!all"


def test_giving_up_keeps_the_reasons_that_are_there():
    told = give_up([{"name": "a", "failed": True, "msg": "bad image"}, {"name": "b"}], "libvirtd is gone")
    assert [(one["msg"], one.get("fault")) for one in told] == [("bad image", None), ("libvirtd is gone", "host")]


def test_compare_asks_the_hosts_and_the_registry_where_a_host_is_silent():
    web, spec = {**WEB, "ports": []}, {"ports": [], "spec_digest": "d1"}
    up = {"name": "kvm1", "up": True, "instances": [{**FOUND, "record": spec}], "extra": {"leftovers": ["u-db"]}}
    run = [web, {**web, "uuid": "u-db", "name": "db", "state": "absent"}, {**web, "uuid": "u-far", "name": "far"}]
    far = {**CLAIM, "uuid": "u-far", "name": "far", "record": spec}
    hosts = [up, {"name": "kvm3", "up": False}]
    told = compare(run, hosts, existing(hosts, [far]))
    assert [(one["todo"], one["host"]) for one in told] == [("none", "kvm1"), ("delete", "kvm1"), ("wait", "kvm3")]


def test_existing_and_recorded_know_the_host():
    hosts = [{"name": "kvm1", "instances": [{**FOUND, "record": {"name": "web", "host": "old"}}, {"ours": False}]}]
    told = existing(hosts)
    assert [one["host"] for one in told] == ["kvm1", "kvm1"]
    assert recorded(told) == [{"name": "web", "host": "kvm1", "power_state": "running"}]


CLAIM = {"name": "web", "uuid": "u-web", "host": "kvm3", "state": "active", "record": {"spec_digest": "d1"}}


@pytest.mark.parametrize(
    "record,claim,well",
    [
        (WEB, CLAIM, True),
        (WEB, {**CLAIM, "state": "claimed"}, False),
        ({**WEB, "spec_digest": "d2"}, CLAIM, False),
        ({**WEB, "state": "absent"}, CLAIM, False),
    ],
)
def test_an_instance_of_a_host_that_did_not_answer_is_left_alone(record, claim, well):
    (told,) = to_do([record], existing([{"name": "kvm1", "up": True}, {"name": "kvm3", "up": False}], [claim]))
    assert (told["todo"], told["host"], told["power_state"], told["failed"]) == ("wait", "kvm3", "unknown", not well)
    assert well or ("kvm3 did not answer" in told["msg"] and told["fault"] == "host")
    assert of_host([told], "kvm3") == []


def test_what_a_host_tells_counts_more_than_what_the_registry_has():
    hosts = [{"name": "kvm1", "instances": [{**FOUND, "record": {}}]}, {"name": "kvm2"}]
    assert [one["host"] for one in existing(hosts, [CLAIM])] == ["kvm1"]
    gone = {**CLAIM, "host": "kvm2"}
    assert existing(hosts[1:], [gone]) == []


def test_absent_takes_the_spec_or_names():
    spec = [{"name": "web", "count": 2}]
    assert absent(spec, "all") == [{"name": "web", "count": 2, "state": "absent"}]
    assert absent(spec, "a, lab/b,a") == [
        {"name": "a", "state": "absent"},
        {"name": "b", "state": "absent", "project": "lab"},
    ]
    with pytest.raises(AnsibleFilterError, match="names=all"):
        absent(spec, " ,")


def test_plan_without_a_decision_says_what_is_there():
    run = [
        {"name": "a", "todo": "none", "host": "kvm1", "failed": False},
        {"name": "b", "todo": "start", "host": "kvm1", "failed": False},
        {"name": "c", "todo": "none", "host": None, "failed": True, "msg": "quota"},
    ]
    assert plan(run, {}) == [
        "a  nothing to do on kvm1",
        "b  starts on kvm1",
        "c  would fail: quota",
        "1 of 3 instances have something to do; nothing was changed",
    ]


def names_in(registries):
    return [(one["registry_host"], [each["name"] for each in one["instances"]]) for one in registries]


def test_leases_are_renewed_where_the_run_has_claims_that_are_not_settled():
    run = [
        {"name": "new", "uuid": "1", "project": "p", "claim_state": "claimed", "cell": "west", "cell_claim": "claimed"},
        {"name": "more", "uuid": "2", "claim_state": "changing", "cell": "east", "cell_claim": "active"},
        {"name": "old", "uuid": "3", "claim_state": "active", "cell": "east", "cell_claim": "active"},
        {"name": "refused", "uuid": "4", "cell": "east"},
    ]
    (one,) = held_claims(run, "sqlite:///top", "kvm1")
    assert one["registry_url"] == "sqlite:///top" and one["registry_host"] == "kvm1"
    assert one["instances"] == [
        {"name": "new", "uuid": "1", "project": "p"},
        {"name": "more", "uuid": "2", "project": None},
    ]
    cells = [
        {"name": name, "hosts": [], "registry_host": f"{name}-1", "registry_url": f"sqlite:///{name}"}
        for name in ("east", "north", "west")
    ]
    told = held_claims(run, "sqlite:///top", "kvm1", cells)
    assert names_in(told) == [("kvm1", ["new"]), ("east-1", ["more"]), ("west-1", ["new"])]
    assert held_claims(run[2:], "sqlite:///top", "kvm1") == []
