# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that need not ask hosts which were seen a moment ago, and those that must."""

from __future__ import annotations

from .conftest import instance

WEB = instance("web", count=4)
NAMES = {f"web-{number}" for number in (1, 2, 3, 4)}
SPARED = "and are not asked again"


def boot(fleet, *instances, **more):
    return fleet.boot(*instances, host_info_max_age=600, **more)


def asked(run) -> bool:
    """Say whether the hosts were asked, by what the run says and by what it did."""
    asked = any(line.startswith("host_info ") for line in run.output.splitlines())
    assert asked != (SPARED in run.output), run.output
    return asked


def test_a_second_run_within_the_time_asks_no_host_and_says_the_same(fleet):
    first = boot(fleet, WEB)
    assert first.code == 0 and asked(first), first.output
    second = boot(fleet, WEB)
    assert (second.code, second.changed, asked(second)) == (0, 0, False), second.output
    assert second.states() == first.states() and set(fleet.running()) == NAMES
    without = fleet.boot(WEB)
    assert without.code == 0 and SPARED not in without.output


def test_what_is_to_be_made_or_deleted_is_done_on_what_the_hosts_say(fleet):
    assert boot(fleet, WEB).code == 0
    more = boot(fleet, WEB, instance("more"))
    assert more.code == 0 and asked(more) and set(fleet.running()) == {*NAMES, "more"}, more.output
    less = boot(fleet, WEB, instance("more", state="absent"))
    assert less.code == 0 and asked(less) and set(fleet.running()) == NAMES, less.output
    assert not asked(boot(fleet, WEB, instance("more", state="absent")))
    fleet.lab("exec", "kvm1", "rm", "-rf", "/var/lib/virtfleet/registry")
    lost = boot(fleet, WEB)
    assert lost.code == 0 and asked(lost) and set(fleet.running()) == NAMES, lost.output


def test_what_a_run_stopped_is_not_taken_for_running(fleet):
    assert boot(fleet, WEB).code == 0
    assert not asked(boot(fleet, WEB))
    stopped = boot(fleet, {**WEB, "state": "stopped"})
    assert stopped.code == 0 and asked(stopped) and fleet.running() == {}, stopped.output
    started = boot(fleet, WEB)
    assert started.code == 0 and asked(started) and set(fleet.running()) == NAMES, started.output


def test_a_guest_that_died_is_seen_when_the_time_is_over(fleet):
    assert boot(fleet, WEB).code == 0
    fleet.lab("exec", fleet.running()["web-1"], "virsh", "destroy", "web-1")
    unseen = boot(fleet, WEB)
    assert unseen.code == 0 and not asked(unseen) and set(fleet.running()) == NAMES - {"web-1"}
    seen = fleet.boot(WEB, host_info_max_age=1)
    assert seen.code == 0 and set(fleet.running()) == NAMES, seen.output
