# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""While something is swept nobody boots it; and the log tells what is gone from where."""

from __future__ import annotations

import pytest
import registry_fleet as fleet

from ansible_collections.virtfleet.compute.plugins.module_utils._registry import claims, report, schema, settle
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.guards import guard, release
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.history import history
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms

HOSTS = [fleet.host("vfr-h1"), fleet.host("vfr-h2")]
WEB = fleet.instance("web-1", "vfr-h1")
SWEEP, BOOT = Terms(run="sweep"), Terms(run="boot")


def asked(host="vfr-h1"):
    """Return what is to be guarded."""
    return [{"name": WEB["uuid"], "uuid": WEB["uuid"], "host": host}]


@pytest.fixture
def hosts(on):
    """A registry that knows two hosts."""
    on(claims.claim, [], HOSTS, BOOT)


def names(on):
    """Return the instances of the registry."""
    return [one["name"] for one in on(lambda connection: report.instances(connection, "2026-01-01 10:00:00"))]


def test_an_instance_that_is_guarded_waits_and_is_booted_after_it(on, hosts):
    (guarded,) = on(guard, asked(), SWEEP)
    assert guarded.facts == {"guarded": True}
    (refused,) = on(claims.claim, [WEB], HOSTS, BOOT)
    assert "run sweep is at work on it" in refused.error
    assert on(release, asked(), SWEEP)[0].changed and names(on) == []
    assert on(claims.claim, [WEB], HOSTS, BOOT)[0].error == ""


def test_a_guard_takes_no_room_no_name_and_no_quota(on, hosts):
    on(guard, asked(), SWEEP)
    told = on(report.everything, ["projects", "hosts"], False, 0)
    assert [one["record"]["vcpus_used"] for one in told["hosts"]] == [0, 0]
    assert set(told["projects"]) <= {""}
    other = {**WEB, "uuid": "another", "ports": []}
    assert on(claims.claim, [other], HOSTS, BOOT)[0].error == ""


def test_an_instance_that_the_registry_has_is_not_guarded(on, hosts):
    on(claims.claim, [WEB], HOSTS, BOOT)
    assert "run boot is at work" in on(guard, asked(), SWEEP)[0].error
    on(settle.settle, [WEB], BOOT)
    assert "the registry has it on vfr-h1" in on(guard, asked(), SWEEP)[0].error
    assert on(guard, asked(host="vfr-h2"), SWEEP)[0].facts == {"guarded": False}
    assert not on(release, asked(), SWEEP)[0].changed and names(on) == ["web-1"]


def test_a_claim_that_a_dead_run_left_is_taken_over_and_released(on, hosts):
    on(claims.claim, [WEB], HOSTS, Terms(run="dead", lease=-1))
    assert on(guard, asked(), SWEEP)[0].facts == {"guarded": True}
    assert on(release, asked(), SWEEP)[0].changed and names(on) == []


def test_what_a_killed_sweep_left_is_adopted_on_that_host(on, hosts):
    on(guard, asked(), Terms(run="killed", lease=-1))
    (claimed,) = on(claims.claim, [{**WEB, "host": "vfr-h2"}], HOSTS, BOOT)
    assert not claimed.error and claimed.facts["host"] == "vfr-h1"


def test_the_log_tells_what_is_gone_from_where(on, hosts):
    other = fleet.instance("web-2", "vfr-h2")
    on(claims.claim, [WEB, other], HOSTS, BOOT)
    on(settle.settle, [WEB, other], BOOT)
    on(settle.release, [WEB], BOOT)
    told = on(history)
    assert set(told["gone"]) == {WEB["uuid"]} and 0 <= told["gone"][WEB["uuid"]]["vfr-h1"] < 60
    assert 0 <= told["age"] < 60
    on(claims.claim, [{**WEB, "host": "vfr-h2"}], HOSTS, BOOT)
    again = on(history)["gone"]
    assert set(again) == {WEB["uuid"]} and set(again[WEB["uuid"]]) == {"vfr-h1"}
    assert told["gone"][WEB["uuid"]]["vfr-h1"] <= again[WEB["uuid"]]["vfr-h1"] < 60
    on(settle.release, [{**WEB, "host": "vfr-h2"}], BOOT)
    assert set(on(history)["gone"][WEB["uuid"]]) == {"vfr-h1", "vfr-h2"}


def test_a_move_leaves_the_host_of_before_and_not_the_one_it_went_to(on, hosts):
    on(claims.claim, [WEB], HOSTS, BOOT)
    entry = {"at": "2026-01-01 10:00:00", "instance": WEB["uuid"], "project": "default", "name": "web-1"}
    more = {"action": "move", "host": "vfr-h2", "run": "r", "who": "", "why": ""}
    on(lambda connection: connection.execute(schema.ACTIONS.insert(), {**entry, **more}))
    assert set(on(history)["gone"][WEB["uuid"]]) == {"vfr-h1"}
