# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry made again of what the domains remember says what the lost one said, and guesses nothing."""

from __future__ import annotations

import pytest
import registry_fleet as fleet
import sqlalchemy as sa

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import claims, report, schema, settle
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import writing
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.guards import guard
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.rebuild import rebuild

HOSTS = [fleet.host(name) for name in ("vfr-h1", "vfr-h2")]
TERMS = Terms(run="again")
GROUP = {"name": "web", "policy": "anti-affinity", "rules": {}}
STAMPS = ("run", "updated_at", "at", "record")


def tables(connection):
    """Return all rows of the tables that a rebuild restores, without what tells when and by whom."""
    names = ("INSTANCES", "ALLOCATIONS", "PORTS", "ADDRESSES", "GROUP_MEMBERS")
    told = {}
    for name in names:
        rows = [dict(row) for row in connection.execute(sa.select(getattr(schema, name))).mappings()]
        told[name] = sorted(({key: row[key] for key in row if key not in STAMPS} for row in rows), key=repr)
    told["records"] = {row.uuid: row.record for row in connection.execute(sa.select(schema.INSTANCES))}
    return told


def remembered(connection):
    """Return what the domains of a settled fleet would tell."""
    return [
        {"uuid": one["uuid"], "state": "running", "host": one["host"], "record": one["record"]}
        for one in report.instances(connection, "2026-01-01 10:00:00", records=True)
    ]


def domain(name="web-1", at="vfr-h1", state="running", address="192.0.2.10", created="2026-01-01 10:00:00", **more):
    """Return what the domain of an instance tells."""
    record = fleet.instance(name, at, **more)
    record["ports"] = [{**one, "addresses": [{"address": address}]} for one in record["ports"]]
    return {"uuid": record["uuid"], "state": state, "host": at, "record": {**record, "created_at": created}}


def boot(connection, records):
    """Claim and settle."""
    done = claims.claim(connection, records, HOSTS, Terms(run="first"))
    assert not [one.error for one in done if one.error]
    settle.settle(connection, records, Terms(run="first"))


@pytest.fixture
def booted(on):
    """A registry with five instances on two hosts, one of another project and two of a group."""
    records = [
        fleet.instance("web-1", "vfr-h1", server_group=GROUP),
        fleet.instance("web-2", "vfr-h2", server_group=GROUP, vcpus=2),
        fleet.instance("db", "vfr-h1", disk_gb=7),
        fleet.instance("db", "vfr-h2", project="lab"),
        fleet.instance("alone", "vfr-h2", ports=[]),
    ]
    on(boot, records)
    return on(tables), on(remembered), on(report.everything, ["projects"], False, 0)["projects"]


def test_what_the_domains_remember_makes_the_same_registry(booted, tmp_path):
    before, found, usage = booted
    with writing(f"sqlite:///{tmp_path}/again.db") as connection:
        outcomes = rebuild(connection, found, HOSTS, TERMS)
        after = tables(connection)
        assert report.everything(connection, ["projects"], False, 0)["projects"] == usage
        assert {row.action for row in connection.execute(sa.select(schema.ACTIONS))} == {"rebuild"}
    assert [one.error for one in outcomes] == [""] * 5 and all(one.changed for one in outcomes)
    assert after == before


def test_a_boot_after_it_changes_nothing(booted, tmp_path):
    found = booted[1]
    records = [{**one["record"], "host": one["host"]} for one in found]
    with writing(f"sqlite:///{tmp_path}/again.db") as connection:
        rebuild(connection, found, HOSTS, TERMS)
        outcomes = claims.claim(connection, records, HOSTS, Terms(run="third"))
    assert [(one.changed, one.error) for one in outcomes] == [(False, "")] * 5


def test_a_registry_with_instances_is_refused_and_untouched(booted, on):
    before, found, dummy = booted
    with pytest.raises(ItemError, match=r"has 5 instances.*rebuild_merge"):
        on(rebuild, found, HOSTS, TERMS)
    assert on(tables) == before


def test_merging_adds_what_is_missing_and_leaves_the_rest(booted, on):
    before, found, dummy = booted
    new = domain("new", "vfr-h2", address="192.0.2.77")
    outcomes = on(rebuild, [*found, new], HOSTS, TERMS, True)
    assert [one.changed for one in outcomes] == [False] * 5 + [True]
    after = on(tables)
    assert [one for one in after["INSTANCES"] if one["uuid"] != new["uuid"]] == before["INSTANCES"]
    assert {one["address"] for one in after["ADDRESSES"]} == {one["address"] for one in before["ADDRESSES"]} | {
        "192.0.2.77"
    }


def test_a_rehearsal_writes_nothing(on):
    assert on(rebuild, [domain()], HOSTS, TERMS, rehearse=True)[0].changed
    assert on(tables)["INSTANCES"] == []


@pytest.mark.parametrize("first,second,error_of_first", [("running", "shutdown", False), ("running", "running", True)])
def test_a_uuid_on_two_hosts_is_claimed_once_where_it_runs(on, first, second, error_of_first):
    found = [domain(at="vfr-h2", state=second), domain(at="vfr-h1", state=first)]
    other, chosen = on(rebuild, found, HOSTS, TERMS)
    assert bool(chosen.error) is error_of_first and chosen.facts["host"] == "vfr-h1"
    assert "beside vfr-h1 (running)" in other.error and "virsh undefine" in other.error
    (row,) = on(tables)["INSTANCES"]
    assert row["host"] == "vfr-h1"
    if error_of_first:
        assert "vfr-h1 (running), vfr-h2 (running)" in chosen.error


def test_an_address_of_two_stays_with_the_older_that_runs(on):
    young, old = domain("young", created="2026-01-02 10:00:00"), domain("old")
    off = domain("off", "vfr-h2", state="shutdown", created="2025-01-01 10:00:00")
    outcomes = on(rebuild, [young, off, old], HOSTS, TERMS)
    assert [bool(one.error) for one in outcomes] == [True, True, False]
    assert "address 192.0.2.10 of network lan is also that of old (project default)" in outcomes[0].error
    assert [row["name"] for row in on(tables)["INSTANCES"]] == ["old"]


@pytest.mark.parametrize("thing", ["mac", "name"])
def test_a_mac_or_a_name_of_two_is_given_once(on, thing):
    one, two = domain("one"), domain("two", address="192.0.2.11", created="2026-01-02 10:00:00")
    if thing == "mac":
        two["record"]["ports"][0]["mac"] = one["record"]["ports"][0]["mac"].upper()
    else:
        two["record"]["name"] = "one"
    good, bad = on(rebuild, [one, two], HOSTS, TERMS)
    assert not good.error and ("MAC" if thing == "mac" else "the name one") in bad.error


def test_what_runs_is_claimed_although_it_is_more_than_the_host_may_promise(on):
    found = [domain(f"big-{number}", vcpus=5, address=f"192.0.2.{10 + number}") for number in range(3)]
    assert not [one.error for one in on(rebuild, found, HOSTS, TERMS) if one.error]


def test_a_record_that_cannot_be_used_is_told_and_the_others_go_on(on):
    bad = domain("bad")
    del bad["record"]["flavor"]
    told, good = on(rebuild, [bad, domain("good", address="192.0.2.11")], HOSTS, TERMS)
    assert "cannot be used" in told.error and good.changed


def test_merging_follows_a_domain_to_its_host_only_where_the_old_one_answered(on):
    on(boot, [fleet.instance("web-1", "vfr-h1")])
    moved = domain(at="vfr-h2", address="192.0.2.10")
    (left,) = on(rebuild, [moved], HOSTS[1:], TERMS, True)
    assert "did not answer" in left.error
    (followed,) = on(rebuild, [moved], HOSTS, TERMS, True)
    assert followed.changed and followed.before == {"host": "vfr-h1"}
    assert {row["host"] for row in on(tables)["ALLOCATIONS"]} == {"vfr-h2"}


def test_merging_leaves_a_claim_that_a_run_is_at_work_on(on):
    on(claims.claim, [fleet.instance("web-1", "vfr-h1")], HOSTS, Terms(run="busy"))
    (left,) = on(rebuild, [domain(at="vfr-h2")], HOSTS, TERMS, True)
    assert "wait for that run" in left.error


def test_merging_beside_a_guard_of_a_sweep_leaves_it_alone(on):
    guarded = fleet.instance("gone", "vfr-h1")
    on(claims.claim, [], HOSTS, TERMS)
    on(guard, [{"name": "gone", "uuid": guarded["uuid"], "host": "vfr-h1"}], Terms(run="sweep"))
    new, left = on(rebuild, [domain("new"), domain("gone", "vfr-h2", address="192.0.2.11")], HOSTS, TERMS, True)
    assert new.changed and not new.error and "wait for that run" in left.error


@pytest.mark.parametrize("what", ["newer", "stranger"])
def test_a_registry_of_another_schema_is_refused_by_name(tmp_path, what):
    url = f"sqlite:///{tmp_path}/other.db"
    if what == "newer":
        with writing(url) as connection:
            newer = {"version": schema.VERSION + 1, "release": "9.9.9", "at": "2026-01-01 10:00:00"}
            connection.execute(schema.SCHEMA_VERSION.insert(), newer)
    else:
        with sa.create_engine(url, future=True).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE recipes (name TEXT)")
    refusal = r"9\.9\.9 or later" if what == "newer" else "is not a registry"
    with pytest.raises(ItemError, match=refusal), writing(url) as connection:
        rebuild(connection, [domain()], HOSTS, TERMS)
