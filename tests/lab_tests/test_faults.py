# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets that lose hosts: before a run, in the middle of it, and behind its back."""

from __future__ import annotations

import pytest

from .conftest import instance

WEB = instance("web", count=3)
DB = instance("db", count=3, server_group="db")
NAMES = {f"{name}-{number}" for name in ("web", "db") for number in (1, 2, 3)}


def test_six_guests_spread_over_three_hosts_and_a_second_run_changes_nothing(fleet):
    first = fleet.boot(WEB, DB)
    assert first.code == 0, first.output
    running = fleet.running()
    assert set(running) == NAMES
    assert sorted(running.values()) == sorted(fleet.hosts * 2)
    assert len({running[f"db-{number}"] for number in (1, 2, 3)}) == 3
    second = fleet.boot(WEB, DB)
    assert (second.code, second.changed) == (0, 0), second.output
    assert fleet.audit().code == 0


def test_a_fourth_of_an_anti_affinity_group_has_no_host(fleet):
    run = fleet.boot(instance("db", count=4, server_group="db"))
    assert run.code == 2
    assert [state for state, _host in run.states().values()].count("failed") == 1
    assert "anti-affinity" in run.output
    assert set(fleet.running()) == {"db-1", "db-2", "db-3"}


def test_a_host_that_is_down_is_left_out_with_one_warning(fleet):
    assert fleet.boot(WEB).code == 0
    fleet.lab("kill", "kvm3")
    run = fleet.boot(WEB, instance("more", count=2))
    assert run.code == 0, run.output
    assert run.output.count("kvm3 is left out, it cannot be reached") == 1
    lost = next(name for name, (_state, host) in run.states().items() if host == "kvm3")
    assert run.states()[lost][0] == "active (unknown)"
    assert fleet.claims()[lost] == ("kvm3", "active")
    assert {host for name, host in fleet_of(run).items() if name.startswith("more")} == {"kvm1", "kvm2"}
    fleet.lab("boot", "kvm3")
    assert fleet.boot(WEB, instance("more", count=2)).code == 0
    assert fleet.running()[lost] == "kvm3"
    assert fleet.audit().code == 0


def test_what_is_on_a_host_that_is_down_is_neither_changed_nor_deleted(fleet):
    assert fleet.boot(WEB).code == 0
    lost = next(name for name, host in fleet.running().items() if host == "kvm3")
    fleet.lab("kill", "kvm3")
    run = fleet.play("playbooks/delete.yml", "-e", f"names={lost}")
    assert run.code == 2
    assert f"{lost} on kvm3: host kvm3 did not answer, so it stays as it is" in run.output
    assert fleet.claims()[lost] == ("kvm3", "active")
    fleet.lab("boot", "kvm3")
    assert fleet.play("playbooks/delete.yml", "-e", f"names={lost}").code == 0
    assert lost not in fleet.claims()


@pytest.mark.parametrize("stage", ["claim", "volume", "port"])
def test_a_host_that_dies_in_the_stage_after(fleet, stage):
    # Of three hosts no other may take a member of db; test_reschedule.py has what others may take.
    run = fleet.boot(DB, on_line=lambda line: line.startswith(stage) and fleet.lab("kill", "kvm3"))
    assert run.code != 0
    assert run.unreachable == ["kvm3"]
    states = run.states()
    assert {host for state, host in states.values() if state == "failed"} <= {"kvm3"}
    assert sum(state == "active" for state, _host in states.values()) >= 2
    assert all(host == fleet.claims()[name][0] for name, (_state, host) in states.items())
    fleet.lab("boot", "kvm3")
    again = fleet.boot(DB)
    assert again.code == 0, again.output
    assert set(fleet.running()) == {"db-1", "db-2", "db-3"}
    assert fleet_of(again) == fleet_of(run)
    assert fleet.boot(DB).changed == 0
    assert fleet.audit().code == 0


def test_the_only_busy_host_dies_and_the_run_still_settles(fleet):
    run = fleet.boot(
        instance("one"), on_line=lambda line: line.startswith("image") and kill_all_but_the_registry(fleet)
    )
    assert fleet.claims()["one"][1] in ("claimed", "active")
    if run.states()["one"][1] != "kvm1":
        assert run.states()["one"][0] == "failed" and "was lost in the middle of it" in run.output
    fleet.lab("boot", "kvm2", "kvm3")
    assert fleet.boot(instance("one")).code == 0
    assert fleet.audit().code == 0


def kill_all_but_the_registry(fleet):
    fleet.lab("kill", "kvm2", "kvm3")


def test_an_instance_whose_domain_vanished_is_built_again_where_its_claim_is(fleet):
    assert fleet.boot(WEB).code == 0
    there = fleet.running()["web-1"]
    fleet.lab("exec", there, "sh", "-c", "virsh destroy web-1; virsh undefine web-1")
    elsewhere = {host: {"host_info_reserved_memory_mb": 4000 if host == there else 512} for host in fleet.hosts}
    wish = "{{ reserves[inventory_hostname].host_info_reserved_memory_mb }}"
    assert fleet.boot(WEB, reserves=elsewhere, host_info_reserved_memory_mb=wish).code == 0
    assert fleet.running()["web-1"] == there
    assert fleet.audit().code == 0


def test_delete_leaves_nothing_on_any_host(fleet):
    assert fleet.boot(WEB, DB).code == 0
    run = fleet.play("playbooks/delete.yml", "-e", "names=all", virtfleet_instances=[WEB, DB])
    assert run.code == 0, run.output
    assert fleet.traces() == [] and fleet.claims() == {}
    assert fleet.audit().code == 0


def fleet_of(run):
    """Return the host of each instance in a run's table."""
    return {name: host for name, (_state, host) in run.states().items()}
