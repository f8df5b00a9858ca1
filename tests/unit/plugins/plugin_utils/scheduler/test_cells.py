# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fleet of cells in the folder beside gives every instance the cell that it expects, for the reason it tells."""

from __future__ import annotations

import pathlib
import random

import pytest
import yaml

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.cell_tree import layout, leaves
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.cells import choose

FLEETS = sorted((pathlib.Path(__file__).parent / "cells").glob("*.yml"))
HOST = {
    "vcpus": 16,
    "vcpus_used": 0,
    "memory_mb": 4096,
    "memory_mb_used": 0,
    "disk_gb": 500,
    "disk_gb_used": 0,
    "reserved_memory_mb": 0,
}
REQUEST = {"vcpus": 1, "memory_mb": 1024, "disk_gb": 1}


def decided(fleet, order=1):
    """Return the answer for a fleet, its hosts in their order or backwards."""
    given = fleet["given"]
    hosts = [{**HOST, **one} for one in given["hosts"]][::order]
    cells = layout(given["cells"], [one["name"] for one in hosts])
    more = {key: given.get(key) for key in ("wishes", "there", "dead")}
    return choose([{**REQUEST, **one} for one in fleet["when"]], hosts, cells, **more)


@pytest.mark.parametrize("file", FLEETS, ids=lambda file: file.stem)
def test_fleet(file):
    fleet = yaml.safe_load(file.read_text())
    told = decided(fleet)
    assert {one["name"]: one["cell"] for one in told["instances"].values()} == fleet["expect"]
    for name, words in (fleet.get("reasons") or {}).items():
        assert [word for word in words if word not in told["instances"][name]["reason"]] == []
    assert decided(fleet, -1) == told


def test_the_answer_does_not_depend_on_the_order_of_hosts():
    names = [f"kvm{number}" for number in range(12)]
    cells = {"a": names[:4], "b": names[4:8], "c": names[8:]}
    hosts = [{**HOST, "name": name, "memory_mb": 2048 + 512 * (number % 7)} for number, name in enumerate(names)]
    requests = [{**REQUEST, "name": "web", "num_instances": 20}]
    first = choose(requests, hosts, layout(cells, names))
    random.Random(7).shuffle(hosts)
    assert choose(requests, hosts, layout(cells, names)) == first


@pytest.mark.parametrize(
    "cells,fleet,words",
    [
        ({"east": []}, ["kvm1"], "cell east has no host"),
        ({"east": ["kvm1", "kvm2"], "west": ["kvm2", "kvm3"]}, ["kvm1", "kvm2", "kvm3"], "share kvm2"),
        ({"east": ["kvm1"], "west": ["kvm1"]}, ["kvm1"], "share kvm1"),
        ({"east": ["kvm1"]}, ["kvm1", "kvm2"], "host kvm2 is in no cell"),
        ({"east": ["kvm1", "kvm9"]}, ["kvm1"], "kvm9, which is not in group compute"),
        (
            {"all": ["kvm1", "kvm2"], "east": ["kvm1"]},
            ["kvm1", "kvm2"],
            "cell all has kvm2 in none of the cells inside",
        ),
    ],
)
def test_cells_that_do_not_fit_are_refused_by_name(cells, fleet, words):
    with pytest.raises(ItemError, match=words):
        layout(cells, fleet)


def test_cells_nest_by_their_hosts():
    cells = layout({"all": ["a", "b", "c"], "north": ["a", "b"], "n1": ["a"], "n2": ["b"], "south": ["c"]}, "abc")
    assert cells["n1"].within == ("all", "north") and cells["all"].inside == ("north", "south")
    assert [one.name for one in leaves(cells)] == ["n1", "n2", "south"]
