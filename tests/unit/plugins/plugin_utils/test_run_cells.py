# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run asks the top registry and what it makes of the answer; two runs at once end with each instance once."""

from __future__ import annotations

import pytest
import registry_fleet as fleet

from ansible_collections.virtfleet.compute.plugins.filter.of_cell import of_cell
from ansible_collections.virtfleet.compute.plugins.filter.with_cell import with_cell
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import claims, report, settle
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import writing
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.plugin_utils import _cells

CELLS = {"east": {}, "west": {"group": "far", "registry_host": "db1", "registry_url": "postgresql://v@db/west"}}
GROUPS = {"compute": ["kvm1", "kvm2", "kvm3"], "cell_east": ["kvm1", "kvm2"], "far": ["kvm3"]}
HOSTS = [fleet.host(name) for name in ("kvm1", "kvm2", "kvm3")]
GROUP = {"name": "db", "policy": "anti-affinity", "rules": {}}


def record(name, **more):
    """Return the record of a new instance."""
    return {**fleet.instance(name, at=None), "state": "active", **more}


def top(tmp_path, records, chosen, run="r1", dead=None):
    """Claim the records in the top registry for the chosen cells and return what it said."""
    asked = _cells.to_top(records, chosen, dead or {})
    hosts = _cells.as_hosts(leaves(), HOSTS, dead or {})
    with writing(f"sqlite:///{tmp_path}/top.db") as connection:
        outcomes = claims.claim(connection, asked, hosts, Terms(run=run))
    return [
        {**one, **outcome.facts, "failed": bool(outcome.error), "msg": outcome.error}
        for one, outcome in zip(asked, outcomes)
    ]


def leaves():
    """Return the cells of the tests."""
    return _cells.leaf_cells(CELLS, GROUPS)


def test_where_the_registries_are():
    east, west = leaves()
    assert (east["registry_host"], east["registry_url"]) == (
        "kvm1",
        "sqlite:////var/lib/virtfleet/registry/cell-east.db",
    )
    assert (west["registry_host"], west["registry_url"]) == ("db1", "postgresql://v@db/west")


@pytest.mark.parametrize(
    "cells,words",
    [({}, None), (CELLS, None), ({**CELLS, "north": {}}, "cell north has no host"), ({"east": {}}, "is in no cell")],
)
def test_cells_are_checked_with_the_request(cells, words):
    problems = _cells.cell_problems(cells, GROUPS)
    assert [words in str(one.says if hasattr(one, "says") else one) for one in problems] == ([True] if words else [])


def test_two_runs_that_choose_different_cells_end_with_one(tmp_path):
    web = record("web")
    (first,) = top(tmp_path, [web], {web["uuid"]: "west"})
    (second,) = top(tmp_path, [web], {web["uuid"]: "east"}, run="r2")
    assert first["host"] == "west" and second["failed"] and "run r1 is at work on it" in second["msg"]
    with writing(f"sqlite:///{tmp_path}/top.db") as connection:
        settle.settle(connection, [first], Terms(run="r1"))
    (third,) = top(tmp_path, [web], {web["uuid"]: "east"}, run="r3")
    assert not third["failed"] and third["host"] == "west"


def test_a_group_that_two_runs_would_spread_over_cells_stays_in_one(tmp_path):
    one, two = record("db-1", server_group=GROUP), record("db-2", server_group=GROUP)
    top(tmp_path, [one], {one["uuid"]: "west"})
    (refused,) = top(tmp_path, [two], {two["uuid"]: "east"}, run="r2")
    assert "server group db is on west and affinity keeps it together" in refused["msg"]
    (joined,) = top(tmp_path, [two], {two["uuid"]: "west"}, run="r2")
    assert not joined["failed"]


def test_the_cell_gives_the_address_that_the_top_registry_gave(tmp_path):
    web, db = record("web"), record("db")
    told = top(tmp_path, [web, db], {web["uuid"]: "east", db["uuid"]: "west"})
    given = {one["uuid"]: one["ports"][0]["addresses"][0]["address"] for one in told}
    assert len(set(given.values())) == 2
    records = _cells.with_cell([web, db], {}, told, {})
    for one, host in zip(records, ("kvm1", "kvm3")):
        with writing(f"sqlite:///{tmp_path}/{one['cell']}.db") as connection:
            (outcome,) = claims.claim(connection, [{**one, "host": host}], HOSTS, Terms(run="r1"))
        assert outcome.facts["ports"][0]["addresses"][0]["address"] == given[one["uuid"]]
    again = _cells.unpinned(records, [web, db])
    assert [one["ports"][0]["subnets"] for one in again] == [web["ports"][0]["subnets"], db["ports"][0]["subnets"]]


def test_what_is_in_a_dead_cell_waits_and_is_not_claimed(tmp_path):
    web, db = record("web"), record("db")
    told = top(tmp_path, [web, db], {web["uuid"]: "east", db["uuid"]: "west"})
    with writing(f"sqlite:///{tmp_path}/top.db") as connection:
        settle.settle(connection, told, Terms(run="r1"))
        known = report.instances(connection, "2026-01-01 10:00:00", records=True)
    dead = {"west": "no route"}
    where = _cells.cells_of(known, [], leaves())
    assert where == {web["uuid"]: "east", db["uuid"]: "west"}
    later = top(tmp_path, [web, db], where, "r2", dead)
    assert [one["name"] for one in later] == ["web"]
    records = with_cell([web, db], where, later, {}, known, dead)
    assert [(one.get("todo"), one.get("failed", False)) for one in records] == [(None, False), ("wait", False)]
    assert [one["name"] for one in of_cell(records, "west")] == []
    changed = with_cell([{**db, "spec_digest": "other"}], where, [], {}, known, dead)
    assert changed[0]["failed"] and "west did not answer" in changed[0]["msg"]


def test_an_instance_that_no_cell_takes_fails_with_the_reason():
    web = record("web")
    choice = {"instances": {web["uuid"]: {"cell": None, "reason": "no cell: east: full"}}}
    (told,) = _cells.with_cell([web], {web["uuid"]: None}, [], choice)
    assert told["failed"] and told["msg"] == "no cell: east: full"


def test_a_record_that_its_host_gave_for_one_that_goes_has_its_cell_again():
    asked = [{**record("db"), "cell": None}, {**record("web"), "cell": "east", "cell_claim": "active"}]
    found = [{"uuid": asked[1]["uuid"], "state": "absent", "host": "kvm1", "todo": "delete"}]
    told = _cells.in_order(_cells.unpinned([*asked, *found], []), asked)
    assert [one["cell"] for one in told] == [None, "east"] and told[1]["todo"] == "delete"


def test_registries_are_read_as_one_and_a_dead_one_is_left_out():
    east = {"cell": {"name": "east"}, "schema_version": 1, "instances": [{"uuid": "a"}]}
    east["history"] = {"now": "2026-01-01 10:00:00", "age": 100, "gone": {"x": {"kvm1": 5}}}
    west = {"cell": {"name": "west"}, "unreachable": True, "msg": "no route"}
    told = _cells.joined([east, west], strict=False)
    assert told["dead"] == {"west": "no route"} and told["instances"] == [{"uuid": "a"}]
    assert told["history"]["age"] == 100
    far = [{**east, "cell": leaves()[0]}, {**east, "cell": leaves()[1]}]
    assert _cells.dead_cells(far, HOSTS[:2]) == {"west": "none of its hosts answers"}
    with pytest.raises(_cells.ItemError, match="no route"):
        _cells.joined([east, west], strict=True)
    cells = leaves()
    assert [one.get("up", True) for one in _cells.of_dead(HOSTS, cells, told["dead"])] == [True, True, False]


def test_what_the_top_registry_and_a_cell_tell_apart_is_found():
    above = [{"uuid": "a", "name": "a", "host": "east"}, {"uuid": "b", "name": "b", "host": "west"}]
    below = [{"uuid": "a", "name": "a", "host": "kvm3"}, {"uuid": "c", "name": "c", "host": "kvm1"}]
    found = _cells.misfits(above, below, leaves(), {})
    assert [(one["name"], one["what"]) for one in found] == [("a", "cell"), ("c", "cell"), ("b", "cell")]
    assert _cells.misfits(above[1:], [], leaves(), {"west": "no route"}) == []
