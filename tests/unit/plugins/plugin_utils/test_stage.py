# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records a stage takes on a host, and what becomes of all of them."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._stage import (
    cut_off,
    here,
    lost,
    made,
    merged,
    to_make,
    to_unmake,
    unmade,
    why,
)

NEW = {"name": "a", "uuid": "1", "todo": "create", "existing": False, "failed": False}


def test_the_records_are_what_the_stage_before_registered():
    assert here({"virtfleet_here": {"instances": [NEW], "changed": True}}) == [NEW]
    assert here({}) == here({"virtfleet_here": {"msg": "unreachable"}}) == []


@pytest.mark.parametrize(
    "more,make,unmake",
    [
        ({}, True, False),
        ({"failed": True}, False, True),
        ({"failed": True, "existing": True}, False, False),
        ({"failed": True, "undone": True}, False, True),
        ({"failed": True, "undone": False}, False, False),
        ({"todo": "update", "existing": True}, True, False),
        ({"todo": "delete", "existing": True}, False, True),
        ({"todo": "delete", "existing": True, "failed": True, "undone": False}, False, False),
        ({"todo": "none", "existing": True}, False, False),
        ({"todo": "wait", "existing": True}, False, False),
    ],
)
def test_what_is_made_and_what_is_taken_back(more, make, unmake):
    assert (to_make({**NEW, **more}), to_unmake({**NEW, **more})) == (make, unmake)


def test_length_and_order_stay_and_once_changed_stays_changed():
    run = [{**NEW, "changed": True}, {"name": "b", "uuid": "2", "todo": "delete"}, {"name": "c", "uuid": "3"}]
    told = [{"uuid": "3", "changed": True, "path": "/c"}, {"uuid": "1", "changed": False, "path": "/a"}]
    first, second, third = merged(run, told, made, "volumes")
    assert (first["path"], first["changed"]) == ("/a", True)
    assert (second, third["path"], third["changed"]) == (run[1], "/c", True)


def test_what_could_not_be_taken_back_keeps_its_reason_and_says_so():
    run = [{**NEW, "failed": True, "msg": "no space"}, {"name": "b", "uuid": "2", "todo": "delete"}]
    told = [{"uuid": "1", "failed": True, "msg": "disk is busy"}, {"uuid": "2", "changed": True, "ports": []}]
    first, second = merged(run, told, unmade)
    assert first["msg"] == "no space; could not be undone: disk is busy"
    assert (first["failed"], first["fault"], first["undone"]) == (True, "host", False)
    assert second == {**run[1], "undone": True, "changed": True}
    assert merged([{**second, "changed": True}], [{"uuid": "2", "changed": False}], unmade)[0]["changed"] is True


def test_a_module_that_could_not_begin_fails_what_it_was_asked_for():
    (told,) = merged([NEW], lost([NEW], "no python"), made)
    assert (told["failed"], told["fault"], told["msg"], told["name"]) == (True, "host", "no python", "a")


@pytest.mark.parametrize(
    "result,said",
    [
        (
            {"rc": 137, "module_stdout": "", "module_stderr": "Killed\n", "msg": "x"},
            "module volumes was killed on the host",
        ),
        ({"rc": 1, "module_stdout": "", "module_stderr": "a\nMemoryError\n", "msg": "x"}, "and said MemoryError: run"),
        ({"rc": 1, "module_stdout": "", "msg": "x"}, "(exit code 1) and said nothing"),
        ({"msg": "Failed to connect", "unreachable": True}, "Failed to connect"),
        ({}, "the host could not go on: run again with -vvv"),
    ],
)
def test_why_a_module_told_nothing(result, said):
    assert said in why("virtfleet.compute.volumes", result)


def test_what_failed_says_in_which_stage_and_so_does_what_was_in_it_when_its_host_was_lost():
    run = [NEW, {**NEW, "uuid": "2", "failed": True, "msg": "bad", "failed_in": "images"}, {**NEW, "uuid": "3"}]
    (first, *_rest) = merged(run, [{"uuid": "1", "failed": True, "msg": "no space"}], made, "volumes")
    assert first["failed_in"] == "volumes"
    lost = cut_off(run, [run[0]], "ports")
    assert lost == [{**NEW, "failed": True, "fault": "host", "failed_in": "ports"}, run[1], run[2]]
