# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When hosts need not be asked again: only where nothing is left to do."""

from __future__ import annotations

import pytest
from registry_fleet import host, instance

from ansible_collections.virtfleet.compute.plugins.module_utils._model.host import pack
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.recent import recent
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.schema import HOSTS, INSTANCES
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.settle import release, settle

RUN, LATER = Terms(run="run-1"), Terms(run="run-2")
NAMES = ("vfr-h1", "vfr-h2")
WEB = instance(state="active")


def seen(state="running", **more):
    """Return what a host tells of the instance."""
    sizes = {"vcpus": 1, "memory_mb": 256, "disk_gb": 1}
    about = {"uuid": WEB["uuid"], "name": "web-1", "ours": True, "spec_digest": WEB["spec_digest"], "damaged": False}
    return {**about, **sizes, "state": state, **more}


def look(on, first=(), second=(), **more):
    """A run sees both hosts, with nothing to claim but what is there."""
    hosts = [host(instances=pack(first), **more), host("vfr-h2", instances=pack(second))]
    return on(claim, [], hosts, LATER)


def booted(on):
    """A run has booted the instance: it saw the hosts before, and settled after."""
    on(claim, [WEB], [host(instances=pack([])), host("vfr-h2", instances=pack([]))], RUN)
    age(on, HOSTS, 2)
    on(settle, [WEB], RUN)


def age(on, table, seconds):
    """What the table has is older by so many seconds."""
    earlier = {
        "sqlite": f"strftime('%Y-%m-%d %H:%M:%S', updated_at, '-{seconds} seconds')",
        "postgresql": f"to_char(updated_at::timestamp - interval '{seconds} seconds', 'YYYY-MM-DD HH24:MI:SS')",
    }
    on(lambda one: one.exec_driver_sql(f"UPDATE {table.name} SET updated_at = {earlier[one.dialect.name]}"))


def asked(on, *wanted, names=NAMES, max_age=60):
    """Return the reason to ask the hosts, or nothing."""
    return on(recent, wanted or [WEB], names, max_age).reason


def test_the_run_after_a_boot_need_not_ask(on):
    booted(on)
    found = on(recent, [WEB], NAMES, 60)
    assert found.reason == "" and 2 <= found.age < 60
    (told,) = found.instances
    assert (told["uuid"], told["host"]) == (WEB["uuid"], "vfr-h1")
    assert told["record"]["ports"][0]["addresses"][0]["address"] == "192.0.2.10" and told["record"]["created_at"]


def test_nor_the_one_after_a_look_that_saw_all_as_it_should_be(on):
    booted(on)
    age(on, INSTANCES, 10)
    look(on, first=[seen()])
    assert asked(on) == ""


def test_an_age_is_that_of_the_look_and_not_of_what_was_done_since(on):
    booted(on)
    age(on, HOSTS, 60)
    on(settle, [WEB], LATER)
    on(claim, [instance("web-2", at="vfr-h1")], [], LATER)
    assert asked(on) in ("vfr-h1 was last seen 62 s ago", "vfr-h1 was last seen 63 s ago")


def test_a_run_that_moves_a_claim_has_not_looked_again(on):
    booted(on)
    fleet = [host(instances=pack([])), host("vfr-h2", instances=pack([]))]
    on(claim, [instance("web-2", at="vfr-h1")], fleet, LATER)
    age(on, HOSTS, 100)
    tried = [{"host": "vfr-h1", "msg": "no space"}]
    on(claim, [instance("web-2", at="vfr-h1", alternates=["vfr-h2"], tried=tried)], fleet, LATER)
    assert asked(on).startswith("vfr-h1 was last seen 10")


@pytest.mark.parametrize(
    "wanted, reason",
    [
        (instance(state="stopped"), "web-1: its state has changed"),
        (instance(state="active", vcpus=2), "web-1: its specification has changed"),
        (instance("web-2", state="active"), "web-2: it has no claim"),
        (instance(state="absent"), "web-1: there is something of it"),
        (instance("web-2", state="absent"), ""),
    ],
)
def test_anything_to_do_is_a_reason_to_ask(on, wanted, reason):
    booted(on)
    assert asked(on, wanted) == reason


@pytest.mark.parametrize(
    "guests, reason",
    [
        ([], "web-1: its domain was not there"),
        ([seen("shutdown")], "web-1: its domain was shutdown"),
        ([seen(damaged=True)], "web-1: its domain was not as specified"),
        ([seen(spec_digest="old")], "web-1: its domain was not as specified"),
    ],
)
def test_what_was_seen_later_counts_more_than_what_was_settled(on, guests, reason):
    booted(on)
    age(on, INSTANCES, 10)
    look(on, first=guests)
    assert asked(on) == reason


def test_a_domain_that_is_seen_on_another_host_too_is_looked_at(on):
    booted(on)
    look(on, first=[seen()], second=[seen()])
    assert asked(on) == "web-1: its domain was seen on vfr-h2"


def test_a_host_that_was_never_seen_or_is_not_of_this_run(on):
    booted(on)
    assert asked(on, names=(*NAMES, "vfr-h3")) == "vfr-h3 was not seen yet"
    assert asked(on, names=("vfr-h2",)) == "web-1: it is on vfr-h1, which is not among the hosts of this run"


def test_a_host_that_did_not_answer_is_as_old_as_its_last_answer(on):
    booted(on)
    age(on, HOSTS, 100)
    on(claim, [], [host(up=False), host("vfr-h2", instances=pack([]))], LATER)
    assert asked(on).startswith("vfr-h1 was last seen 10")


def test_what_a_run_is_at_work_on_or_died_at(on):
    on(claim, [WEB], [host(), host("vfr-h2")], RUN)
    assert asked(on) == "web-1: run run-1 is at work on it, or died at it"
    on(settle, [WEB], RUN)
    on(claim, [instance(state="active", vcpus=2)], [host(instances=[seen()]), host("vfr-h2")], LATER)
    assert asked(on) == "web-1: run run-2 is at work on it, or died at it"


@pytest.mark.parametrize("todo", ["start", "stop", "update"])
def test_what_was_started_or_stopped_is_looked_at_though_its_claim_did_not_change(on, todo):
    booted(on)
    age(on, INSTANCES, 10)
    look(on, first=[seen()])
    assert asked(on) == ""
    on(claim, [{**WEB, "todo": todo}], [host(instances=[seen()]), host("vfr-h2")], LATER)
    assert asked(on) == "web-1: a run has started, stopped or mended it"


def test_what_was_deleted_is_not_there(on):
    booted(on)
    on(release, [WEB], LATER)
    assert asked(on) == "web-1: it has no claim" and asked(on, instance(state="absent")) == ""


def in_top(on, *wanted):
    """Return what the top registry says, to which these hosts are cells."""
    return on(recent, wanted or [WEB], NAMES, 60, True)


def test_the_top_registry_has_the_cell_of_each_instance_and_has_seen_no_domain(on):
    booted(on)
    age(on, INSTANCES, 10)
    look(on)
    assert asked(on) == "web-1: its domain was not there"
    found = in_top(on)
    assert found.reason == "" and [one["host"] for one in found.instances] == ["vfr-h1"]


@pytest.mark.parametrize(
    "wanted, reason",
    [
        (instance(state="active", vcpus=2), "web-1: its specification has changed"),
        (instance("web-2", state="active"), "web-2: it has no claim"),
        (instance(state="absent"), "web-1: there is something of it"),
    ],
)
def test_what_the_top_registry_knows_of_is_a_reason_to_ask(on, wanted, reason):
    booted(on)
    assert in_top(on, wanted).reason == reason
    age(on, HOSTS, 100)
    assert in_top(on).reason.startswith("vfr-h1 was last seen 10")


def test_what_is_claimed_in_the_top_registry_and_was_never_settled(on):
    on(claim, [WEB], [host(), host("vfr-h2")], RUN)
    assert in_top(on).reason == "web-1: run run-1 is at work on it, or died at it"


def test_files_of_a_killed_run_are_a_reason_to_delete_them(on):
    look(on, extra={"leftovers": [WEB["uuid"]]})
    assert asked(on, instance(state="absent")) == "web-1: there is something of it"


def test_without_a_registry_all_hosts_are_asked():
    assert recent(None, [WEB], NAMES, 60).reason == "there is no registry yet"
