# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from what exists to what is wanted, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.domain import (
    Domain,
    Shape,
    plan_absent,
    plan_present,
)
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.read import wanted_shape
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import port, record


def shape(instance):
    return wanted_shape(instance, "/state")


def existing(state="running", **changes):
    """Return the domain of the plain record."""
    instance = Instance.from_record(record())
    plain = Domain(instance.domain, instance.uuid, state, shape(instance), instance, instance)
    return replace(plain, **changes)


def plan(found, holder="", **changes):
    return plan_present(Instance.from_record(record(**changes)), shape, found, holder)


@pytest.mark.parametrize(
    "wanted, state, steps",
    [
        ("active", None, ("define", "start")),
        ("stopped", None, ("define",)),
        ("active", "running", ()),
        ("active", "shutdown", ("start",)),
        ("active", "crashed", ("start",)),
        ("active", "paused", ("resume",)),
        ("active", "suspended", ("wake",)),
        ("stopped", "running", ("remember", "stop")),
        ("stopped", "paused", ("remember", "stop")),
        ("stopped", "shutdown", ("remember",)),
    ],
)
def test_steps_from_each_state(wanted, state, steps):
    assert plan(existing(state) if state else None, state=wanted).steps == steps


NEW = {"spec_digest": "2"}


@pytest.mark.parametrize(
    "changes, fields, steps",
    [
        ({"flavor": {"memory_mb": 512}, **NEW}, ["flavor.memory_mb"], ("define",)),
        ({"image": {"properties": {"hw_vif_model": "e1000"}}, **NEW}, ["image.properties"], ("define",)),
        ({"ports": [port(1)], **NEW}, ["ports", "addresses", "subnets"], ("define",)),
        ({"flavor": {"disk_gb": 5}, **NEW}, ["flavor.disk_gb"], ("define",)),
        ({"flavor": {"name": "m1.other"}, **NEW}, ["flavor.name"], ("remember",)),
        ({"metadata": {"a": "b"}}, ["metadata"], ("remember",)),
        ({"image": {"checksum": "sha256:moved on"}, **NEW}, ["spec_digest"], ("remember",)),
        ({"image": {"checksum": "sha256:moved on"}}, [], ()),
        ({"host": "kvm2", "created_at": "2027-01-01 00:00:00"}, [], ()),
    ],
)
def test_what_an_existing_guest_takes(changes, fields, steps):
    made = plan(existing(), **changes)
    assert [one.field for one in made.changes] == fields
    assert made.steps == steps
    assert bool(made.pending) == ("define" in steps)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"image": {"name": "debian-13"}}, "image.name of web-1 cannot change from 'debian-12' to 'debian-13'"),
        ({"flavor": {"disk_gb": 1}}, "flavor.disk_gb of web-1 cannot change from 3 to 1: a disk cannot shrink"),
        ({"volumes": []}, "volume root of web-1 cannot change from 'present' to 'absent'"),
        ({"volumes": [{"name": "root", "backend": "raw", "size_gb": 3}]}, "volume root.backend of web-1 cannot change"),
        ({"server_group": {"name": "web"}}, "server_group of web-1 cannot change from None to {'name': 'web'}"),
        ({"availability_zone": "b"}, "availability_zone of web-1 cannot change from None to 'b'"),
    ],
)
def test_what_would_destroy_data_is_refused(changes, words):
    with pytest.raises(ItemError) as caught:
        plan(existing(), **{**NEW, **changes})
    assert str(caught.value).startswith(words)
    assert caught.value.fault == "request"


def test_a_record_whose_volumes_and_addresses_were_not_worked_out_again_is_no_change():
    old = Instance.from_record(
        record(volumes=[{"name": "root", "backend": "qcow2", "size_gb": 3, "boot_index": 0, "path": "/other/root"}])
    )
    found = existing(instance=old, running=old, shape=shape(old))
    assert plan(found, ports=[port(addresses=[])]).steps == ()


def test_a_definition_edited_by_hand_is_put_back_for_the_next_boot():
    edited = Shape(64, 1, ("/etc/shadow",), ())
    made = plan(existing(shape=edited))
    assert made.steps == ("define",)
    assert [one.field for one in made.pending] == ["domain.vcpus", "domain.memory_mb", "domain.disks", "domain.cards"]


def test_what_waits_for_the_next_boot_is_said_again_but_not_done_again():
    old = Instance.from_record(record())
    new = Instance.from_record(record(flavor={"memory_mb": 512}, **NEW))
    found = existing(instance=new, running=old, shape=shape(new))
    made = plan(found, flavor={"memory_mb": 512}, **NEW)
    assert made.steps == ()
    assert [one.sentence() for one in made.pending] == ["flavor.memory_mb: 256 -> 512 (next boot)"]


def test_a_guest_that_is_off_takes_the_change_with_its_start():
    made = plan(existing("shutdown"), flavor={"memory_mb": 512}, **NEW)
    assert made.steps == ("define", "start")
    assert made.pending == ()
    assert made.before["power_state"] == "shutdown" and made.after["power_state"] == "running"
    assert (made.before["flavor.memory_mb (next boot)"], made.after["flavor.memory_mb (next boot)"]) == (256, 512)


def test_the_diff_tells_the_wanted_state_and_the_power_state_apart():
    made = plan(existing(), state="stopped")
    assert made.before == {"power_state": "running", "state": "active"}
    assert made.after == {"power_state": "shutdown", "state": "stopped"}


@pytest.mark.parametrize(
    "found, holder, words",
    [
        (existing(instance=None), "", "domain web-1 on this host has the uuid"),
        (None, "another-uuid", "the name web-1 is taken on this host by another domain (another-uuid)"),
        (existing(name="renamed"), "", "domain renamed of this host is instance web-1: rename it to web-1"),
    ],
)
def test_what_is_not_ours_is_refused_by_name_so_that_another_host_is_tried(found, holder, words):
    with pytest.raises(ItemError) as caught:
        plan(found, holder)
    assert str(caught.value).startswith(words)
    assert caught.value.fault == "host"


def test_absent_removes_ours_only():
    wanted = Instance.from_record(record())
    assert plan_absent(wanted, existing(), True).steps == ("remove", "clean")
    assert plan_absent(wanted, None, True).steps == ("clean",)
    assert plan_absent(wanted, None, False).steps == ()
    assert plan_absent(wanted, existing(instance=None), True).steps == ()


ROOT = {"name": "root", "backend": "qcow2", "size_gb": 3, "boot_index": 0}
DATA = {"name": "data", "backend": "qcow2", "size_gb": 1, "id": "5f0c1a2b-0000-5000-8000-000000000001"}
MORE = {"name": "more", "backend": "qcow2", "size_gb": 1, "id": "5f0c1a2b-0000-5000-8000-000000000002"}


def with_volumes(state, *volumes):
    instance = Instance.from_record(record(volumes=[ROOT, *volumes]))
    return Domain(instance.domain, instance.uuid, state, shape(instance), instance, instance)


@pytest.mark.parametrize(
    "before, after, live",
    [
        ([], [DATA], ("attach 1",)),
        ([DATA], [], ("detach 1",)),
        ([DATA], [MORE], ("detach 1", "attach 2")),
        ([DATA], [{**DATA, "size_gb": 2}], ("resize 1",)),
        ([DATA, MORE], [MORE, DATA], ()),
        ([], [{**DATA, "disk_bus": "sata"}], ()),
        ([], [{**DATA, "device_type": "cdrom"}], ()),
    ],
)
def test_volumes_come_go_and_grow_while_the_guest_runs(before, after, live):
    named = tuple(step[:-1] + f"5f0c1a2b-0000-5000-8000-00000000000{step[-1]}" for step in live)
    wanted = {"volumes": [ROOT, *after], **NEW}
    made = plan(with_volumes("running", *before), **wanted)
    changed = tuple(step for step in made.steps if step not in ("define", "remember"))
    assert changed == named
    assert bool(made.pending) == (not live and before != after[::-1])
    stopped = plan(with_volumes("shutdown", *before), **{**wanted, "state": "stopped"})
    assert stopped.steps in (("define",), ("remember",))


def test_what_a_guest_boots_from_is_not_detached():
    boot = {**DATA, "boot_index": 0}
    instance = Instance.from_record(record(volumes=[boot]))
    found = Domain(instance.domain, instance.uuid, "running", shape(instance), instance, instance)
    with pytest.raises(ItemError, match="volume data of web-1 cannot change from 'present' to 'absent'"):
        plan(found, **NEW)


def running_with(*ports, state="running"):
    """Return the plan from a guest with one port to one with these."""
    return plan(existing(state), **NEW, ports=list(ports))


def test_a_card_comes_live_at_the_end():
    made = running_with(port(), port(1))
    assert [one.label for one in made.changes] == ["port 1 (lan)"]
    assert made.steps == ("define", f"plug {port(1)['id']}") and made.pending == ()
    assert made.after["port 1 (lan)"] == "present"


def test_a_card_goes_live_from_the_end():
    made = running_with()
    assert [(one.label, one.after) for one in made.changes] == [("port 0 (lan)", "absent")]
    assert made.steps == ("define", f"unplug {port()['id']}") and made.pending == ()


def test_a_guest_that_is_off_has_other_cards_the_next_time():
    assert running_with(port(), port(1), state="shutdown").steps == ("define", "start")


def test_a_card_that_waits_is_plugged_by_the_next_run():
    """As when a run was killed after it defined the guest anew: the running guest's own record still lacks the card."""
    two = Instance.from_record(record(ports=[port(), port(1)], **NEW))
    found = replace(existing(), instance=two, shape=shape(two))
    made = plan(found, **NEW, ports=[port(), port(1)])
    assert made.steps == (f"plug {port(1)['id']}",) and made.changes == ()
