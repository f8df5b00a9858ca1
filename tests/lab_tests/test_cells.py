# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells in a cell: the top scheduler goes down level by level, and each cell at the end has a registry of its own."""

from __future__ import annotations

import json

import pytest

from .conftest import READ, instance
from .test_recent import asked

# north is around a and b, by nothing but its hosts.
NESTED = {
    "cell_a": {"hosts": {"kvm1": {}}},
    "cell_b": {"hosts": {"kvm2": {}}},
    "cell_north": {"children": {"cell_a": {}, "cell_b": {}}},
    "cell_west": {"hosts": {"kvm3": {}}},
}
CELLS = {"north": {}, "a": {}, "b": {}, "west": {}}
HOMES = {"a": "kvm1", "b": "kvm2", "west": "kvm3"}
SPEC = [instance("up", count=4, cell="north"), instance("pin", cell="b"), instance("any", count=2)]


class Nested:
    """The fleet as cell west beside cell north, in which are a and b."""

    def __init__(self, fleet, inventory):
        self.fleet, self.inventory = fleet, ("-i", str(inventory))

    def play(self, playbook, **more):
        return self.fleet.play(f"playbooks/{playbook}.yml", *self.inventory, virtfleet_cells=CELLS, **more)

    def claims(self, registry: str, host: str) -> dict[str, str]:
        """Return the host, or the cell, of each instance that a registry has as active."""
        told = self.fleet.lab("exec", host, "python3", "-c", READ % registry)
        return {name: where for name, where, state in map(str.split, told.splitlines()) if state == "active"}


@pytest.fixture
def nested(fleet, tmp_path):
    """The fleet in nested cells, nothing of which is left."""
    inventory = tmp_path / "cells.json"
    inventory.write_text(json.dumps(NESTED))
    one = Nested(fleet, inventory)
    yield one
    one.play("delete", names="all", virtfleet_instances=SPEC)
    for host in fleet.hosts:
        fleet.lab("exec", host, "sh", "-c", "rm -f /var/lib/virtfleet/registry/cell-*")


def test_instances_go_down_two_levels_to_the_cell_that_has_room_and_run_once(nested):
    run = nested.play("boot", virtfleet_instances=SPEC)
    assert run.code == 0, run.output
    running = nested.fleet.running()
    names = {"up-1", "up-2", "up-3", "up-4", "pin", "any-1", "any-2"}
    assert set(running) == names
    assert {running[f"up-{number}"] for number in (1, 2, 3, 4)} <= {"kvm1", "kvm2"} and running["pin"] == "kvm2"
    told = {cell: nested.claims(f"cell-{cell}", host) for cell, host in HOMES.items()}
    assert {name: host for claims in told.values() for name, host in claims.items()} == running
    assert {name: HOMES[cell] for name, cell in nested.claims("registry", "kvm1").items()} == running
    again = nested.play("boot", virtfleet_instances=SPEC)
    assert (again.code, again.changed) == (0, 0), again.output
    assert nested.play("audit", virtfleet_instances=SPEC).code == 0


def test_what_a_cell_fails_stays_in_it_though_its_neighbour_has_room(nested):
    nested.fleet.fill("kvm2")
    run = nested.play("boot", virtfleet_instances=[instance("pin", cell="b")])
    assert run.code != 0 and run.states()["pin"] == ("failed", "kvm2"), run.output
    assert "no other host takes it: 1 hosts -> 0 ignored hosts" in run.output
    assert nested.fleet.running() == {} and nested.claims("cell-b", "kvm2") == nested.claims("registry", "kvm1") == {}


def test_only_where_every_cell_says_that_nothing_is_left_to_do_no_host_is_asked(nested):
    def boot(*more):
        return nested.play("boot", virtfleet_instances=[*pins, *more], host_info_max_age=600)

    pins = [instance("pin", cell="b"), instance("west", cell="west")]  # and none in a
    first = boot()
    assert first.code == 0 and asked(first), first.output
    second = boot()
    assert (second.code, second.changed, asked(second)) == (0, 0, False), second.output
    assert second.states() == first.states() == {"pin": ("active", "kvm2"), "west": ("active", "kvm3")}
    more = boot(instance("up-1", cell="a"))
    assert more.code == 0 and asked(more), more.output
    less = boot(instance("up-1", cell="a", state="absent"))
    assert less.code == 0 and asked(less) and set(nested.fleet.running()) == {"pin", "west"}, less.output
    nested.fleet.lab("exec", "kvm1", "rm", "/var/lib/virtfleet/registry/cell-a.db")
    lost = boot()
    assert lost.code == 0 and asked(lost), lost.output
    assert not asked(boot())
    nested.fleet.lab("exec", "kvm3", "sh", "-c", "echo broken > /var/lib/virtfleet/registry/cell-west.db")
    broken = boot()
    assert broken.code == 0 and asked(broken) and "left out" in broken.output, broken.output
    assert set(nested.fleet.running()) == {"pin", "west"}
