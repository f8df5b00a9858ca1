# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that does not fit is found once, and what fits is not."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._audit import audit, audit_lines

PORT = {"id": "p1", "instance": "web", "uuid": "u1", "tap": "tapp1"}
DOMAIN = {"uuid": "u1", "name": "web", "ours": True, "state": "running", "record": {"ports": [{"id": "p1"}]}}
CLAIM = {"uuid": "u1", "name": "web", "host": "kvm1", "state": "active", "updated_at": "now", "lease_until": ""}
LEFT = {"taps": [], "missing": [], "ports": [], "bridges": []}


def ports(**more):
    """Return what the ports of the one host are, with some replaced."""
    return {"ports": {"kvm1": {"ports": [PORT], "rules_stand": True, "stray": LEFT, **more}}}


def world(**more):
    """Return the arguments of a fleet of one host where all fits, with some replaced."""
    told = {
        "hosts": [{"name": "kvm1", "instances": [DOMAIN, {"uuid": "x", "name": "theirs", "ours": False}]}],
        "registry": [CLAIM],
        **ports(),
        "folders": {"kvm1": ["u1"]},
    }
    return {**told, **more}


def test_nothing_is_found_where_all_fits():
    assert audit(**world()) == []


@pytest.mark.parametrize(
    "what,more",
    [
        ("domain", {"registry": []}),
        ("claim", {"registry": [{**CLAIM, "host": "kvm2"}]}),
        ("claim", {"registry": [CLAIM, {**CLAIM, "uuid": "u2", "name": "db"}]}),
        ("claim", {"registry": [CLAIM, {**CLAIM, "uuid": "u2", "name": "db", "lease_until": "past", "expired": True}]}),
        ("folder", {"folders": {"kvm1": ["u1", "u9"]}}),
        ("port", ports(ports=[PORT, {**PORT, "id": "p2", "uuid": "u2"}])),
        ("tap", ports(stray={**LEFT, "taps": ["tapx"]})),
        ("tap", ports(stray={**LEFT, "missing": ["tapp1"]})),
        ("rules", ports(rules_stand=False)),
    ],
)
def test_what_does_not_fit_is_found_once(what, more):
    (found,) = audit(**world(**more))
    assert found["what"] == what and found["host"] == "kvm1"
    (line,) = audit_lines([found])
    assert line.startswith("kvm1: ") and "; " in line


def test_a_host_that_does_not_answer_is_a_finding_and_its_claims_are_not():
    far = {"name": "far", "up": False, "disabled_reason": "it cannot be reached: no route", "instances": []}
    claims = [CLAIM, {**CLAIM, "uuid": "u2", "name": "db", "host": "far"}]
    (found,) = audit(**{**world(registry=claims), "hosts": [*world()["hosts"], far]})
    assert found["what"] == "host" and audit_lines([found])[0].startswith("far: it was not looked at: it cannot be")


def test_a_domain_on_two_hosts_is_found_on_both():
    hosts = [{"name": name, "instances": [DOMAIN]} for name in ("kvm1", "kvm2")]
    found = audit(**world(hosts=hosts, ports={}, folders={}))
    assert [(one["what"], one["host"]) for one in found] == [("double", "kvm1"), ("claim", "kvm2"), ("double", "kvm2")]


def test_what_another_run_is_building_is_left_out():
    building = {**CLAIM, "uuid": "u2", "name": "db", "state": "claimed", "lease_until": "later", "expired": False}
    assert audit(**world(registry=[CLAIM, building], folders={"kvm1": ["u1", "u2"]})) == []


def test_claims_of_hosts_that_did_not_answer_are_left_out():
    assert audit(**world(registry=[CLAIM, {**CLAIM, "uuid": "u2", "name": "db", "host": "kvm9"}])) == []
