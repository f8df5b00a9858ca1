# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of a run that need not ask its hosts, and what the registries of its cells are asked."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._recent import as_they_are, asked, over_cells

PORT = {"id": "p1", "network": "lan", "addresses": []}
ADDRESS = {"address": "192.0.2.10"}


def test_they_have_their_host_age_and_addresses_and_nothing_to_do():
    web = {"uuid": "u1", "name": "web", "state": "active", "ports": [PORT], "image": {"name": "halt"}}
    gone = {"uuid": "u2", "name": "gone", "state": "absent", "ports": []}
    kept = {"project": "default", "created_at": "2026-01-01 10:00:00", "ports": [{"id": "p1", "addresses": [ADDRESS]}]}
    found = [{"uuid": "u1", "name": "web", "host": "kvm1", "record": kept}]
    there, absent = as_they_are([web, gone], found)
    assert (there["host"], there["created_at"], there["todo"]) == ("kvm1", "2026-01-01 10:00:00", "none")
    assert there["ports"] == [{**PORT, "addresses": [ADDRESS]}] and there["image"] == {"name": "halt"}
    assert (there["existing"], there["failed"], there["power_state"]) == (True, False, "running")
    assert (absent["existing"], absent["failed"], absent["todo"]) == (False, False, "none")


WEB = {"uuid": "u1", "name": "web", "state": "active", "spec_digest": "d", "ports": [], "keys": []}
DB, GONE = (
    {**WEB, "uuid": "u2", "name": "db", "state": "stopped"},
    {**WEB, "uuid": "u3", "name": "x", "state": "absent"},
)
RUN = {"run_id": "r1", "recent": True, "age": 9, "cells": {"u1": "east", "u2": "west"}, "instances": [WEB, DB, GONE]}


def told(cell, *instances, **more):
    """Return what a loop registers of a cell."""
    return {"cell": {"name": cell}, "recent": True, "age": 7, "instances": list(instances), **more}


EAST = told("east", {"uuid": "u1", "host": "kvm1", "record": {}})
WEST = told("west", {"uuid": "u2", "host": "kvm3", "record": {}})


def test_a_cell_is_asked_whether_it_has_its_instances_and_none_of_the_others():
    compared = {"spec_digest": "d"}
    assert asked(RUN["instances"], RUN["cells"], "west") == [
        {"uuid": "u1", "name": "web", "state": "absent", **compared},
        {"uuid": "u2", "name": "db", "state": "stopped", **compared},
        {"uuid": "u3", "name": "x", "state": "absent", **compared},
    ]
    assert [one["state"] for one in asked(RUN["instances"])] == ["active", "stopped", "absent"]


def test_if_every_cell_says_so_no_host_is_asked():
    run = over_cells(RUN, [EAST, WEST])
    assert (run["recent"], run["age"], run["unsettled"], run["run_id"]) == (True, 9, False, "r1")
    assert [(one.get("host"), one["todo"], one["existing"]) for one in run["instances"]] == [
        ("kvm1", "none", True),
        ("kvm3", "none", True),
        (None, "none", False),
    ]


@pytest.mark.parametrize(
    "west",
    [
        {"cell": {"name": "west"}, "recent": False, "reason": "kvm3 was not seen yet", "age": 0, "instances": []},
        {"cell": {"name": "west"}, "failed": True, "msg": "the registry cannot be opened"},
        {"cell": {"name": "west"}, "unreachable": True, "msg": "no route"},
    ],
)
def test_if_one_does_not_the_run_goes_on_with_its_records_as_they_were(west):
    run = over_cells(RUN, [EAST, west])
    assert run["recent"] is False and "unsettled" not in run and run["instances"] == RUN["instances"]
