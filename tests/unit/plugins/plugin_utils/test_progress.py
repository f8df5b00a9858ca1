# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a stage is, in words."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.plugin_utils._progress import Stage, failures, sentence


def instance(name, **more):
    return {"name": name, "uuid": name, **more}


def stage(**more):
    return Stage("ready", 10.0, **more)


def test_hosts_are_added_up_and_nothing_is_counted_twice():
    one = stage()
    one.note("kvm1", {"instances": [instance("a"), instance("b", failed=True)]})
    one.note("kvm2", {"instances": [instance("c")]})
    one.note("kvm1", {"ansible_facts": {"x": [instance("a"), instance("b"), instance("c")]}})
    assert one.line(12.34) == "ready         2 of 3 instances   1 failed   2.3 s"


def test_those_that_failed_before_are_no_news_until_they_are_tried_again():
    one = stage(told={("b", 1)})
    one.note("kvm1", {"instances": [instance("a"), instance("b", failed=True)]})
    assert one.line(10.0) == "ready         1 of 1 instances"
    one.note("kvm2", {"instances": [instance("b", attempts=2)]})
    assert one.line(10.0) == "ready         2 of 2 instances"


def test_a_stage_with_nothing_to_do_is_silent_and_one_about_hosts_counts_them():
    one = stage()
    one.note("kvm1", {"changed": False, "ansible_facts": {"x": [1, 2], "y": "z"}})
    assert one.line(11.0) == ""
    one.hosts |= {"kvm1", "kvm2"}
    assert one.line(11.0) == "ready         2 hosts   1.0 s"


def test_progress_adds_up_what_hosts_wait_for():
    one = stage()
    instances = [instance("a"), instance("b")]
    one.note_pending("kvm1", {"instances": instances, "pending": ["a: waiting for ssh"]})
    one.note_pending("kvm2", {"instances": instances, "pending": [{"name": "d", "reason": "no address yet"}]})
    assert one.progress(17.0) == "ready         2 of 4   a: waiting for ssh; d: no address yet   7 s"
    one.note("kvm1", {"instances": instances})
    one.note_pending("kvm2", {"pending": [f"w{number}" for number in range(9)]})
    assert one.progress(17.0) == "ready         0 of 9   w0; w1; w2 and 6 more   7 s"


def test_a_stage_that_is_left_to_renew_claims_is_not_over():
    one = stage()
    one.note("kvm1", {"instances": [instance("a"), instance("b")], "pending": ["b: 1 MiB of 9 MiB"]})
    assert one.line(17.0) == "ready         1 of 2   b: 1 MiB of 9 MiB   7 s"
    one.note("kvm1", {"instances": [instance("a"), instance("b")], "pending": []})
    assert one.line(18.0) == "ready         2 of 2 instances   8.0 s"


def test_heartbeats_name_the_hosts():
    one = stage()
    assert one.heartbeat(20.0) == ""
    one.running = {f"kvm{number}": 10.0 for number in range(1, 8)}
    assert one.heartbeat(30.0) == "ready         still running on kvm1, kvm2, kvm3, kvm4, kvm5 and 2 more   20 s"


def test_sentences():
    assert sentence({"msg": "disk full"}) == "disk full"
    assert (
        sentence({"msg": "It died", "module_stderr": "Traceback ..."})
        == "It died (run again with -vvv to see all of it)"
    )
    assert sentence({}) == "no reason was given"
    wrapped = (
        "Finalization of task args failed: The lookup plugin 'virtfleet.compute.placement' failed: zone b: no such"
    )
    assert sentence({"msg": wrapped}) == "zone b: no such"
    assert sentence({"msg": "Task failed: no route"}) == "no route"


def test_many_failures_are_cut():
    lines = failures([instance(str(number), msg="x") for number in range(12)])
    assert len(lines) == 11 and lines[-1].endswith("and 2 more")
