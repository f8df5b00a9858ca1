# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our decisions against Nova's own: see tests/unit/nova_cases/README.md.

VIRTFLEET_NOVA_CASES names another directory of cases.
"""

from __future__ import annotations

import gzip
import json
import os
import pathlib

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.decide import decide
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.record import expand

CASES = pathlib.Path(os.environ.get("VIRTFLEET_NOVA_CASES", pathlib.Path(__file__).parents[3] / "nova_cases"))


def cases():
    """Yield (file, position of the request) for every request of every case."""
    for file in sorted(CASES.glob("*.json.gz")):
        for position, request in enumerate(read(file)["input"]["requests"]):
            yield pytest.param(file, position, id=f"{file.name.removesuffix('.json.gz')}-{request['name']}")


def read(file):
    """Return a case."""
    return json.loads(gzip.decompress(file.read_bytes()))


@pytest.fixture(scope="module")
def case():
    """Return a function that reads a case and keeps the last one."""
    kept = {}

    def load(file):
        if file not in kept:
            kept.clear()
            kept[file] = read(file)
        return kept[file]

    return load


@pytest.mark.parametrize("file,position", list(cases()))
def test_we_decide_as_nova_does(case, file, position):
    given, nova = case(file)["input"], case(file)["output"]["requests"][position]
    request = given["requests"][position]
    policy = {"weighers": given.get("weighers") or {}}
    if given.get("filters"):
        policy["filters"] = given["filters"]
    record = decide([request], given["hosts"], policy)
    ours = expand(record)
    first = nova["picks"][0] if nova["picks"] else {"filters": [], "weighers": {}, "final": {}, "ties_for_best": []}

    same_placement(ours, nova, first)
    same_filters(ours, first)
    same_weights(ours, first)
    if first["ties_for_best"]:
        assert ours["host"] in first["ties_for_best"]
    else:
        assert ours["host"] is None
    if request.get("num_instances", 1) == 1:
        assert record["requests"][0]["result"] == nova["result"]
    sane_alternates(record, request)


def same_placement(ours, nova, first):
    """Placement rules the same hosts out for the same reason, and the request's ignored hosts go next."""
    queries = [query["eliminated"] for query in nova["placement"]]
    expected = {host: why for host, why in queries[0].items() if all(host in other for other in queries)}
    names = {one["name"] for one in first["filters"]} | {"ignored hosts"}
    fallen = {host: one["filter"] for host, one in ours["eliminated"].items() if one["filter"] not in names}
    later = {host for host, one in ours["eliminated"].items() if one["filter"] == "ignored hosts"}
    assert set(fallen) == set(expected)
    assert later == set(first.get("prefiltered", []))
    for host, step in fallen.items():
        assert placement_reason(step, expected[host]), f"{host}: {step} is not {expected[host]}"


def placement_reason(step, nova):
    """Return whether a step of ours is the reason that the case gives; several traits are one reason there."""
    if step in ("requested host", "availability zone"):
        return nova == {"requested host": "in_tree", "availability zone": "not in required aggregate"}[step]
    if step == "enabled" or step.startswith("not trait "):
        return nova.startswith("forbidden trait")
    if step.startswith("trait "):
        return nova.startswith("missing trait")
    return step == nova or step.startswith("PCPU")


def same_filters(ours, first):
    """Every filter drops the same hosts."""
    if first.get("filters_skipped"):
        return
    for one in first["filters"]:
        fallen = sorted(host for host, why in ours["eliminated"].items() if why["filter"] == one["name"])
        assert fallen == sorted(one.get("eliminated", [])), one["name"]


def same_weights(ours, first):
    """Every weigher says the same of every host that is left, and the sums are the same."""
    for weigher, nova in first["weighers"].items():
        for host, raw in nova["raw"].items():
            weight = ours["weights"][host][weigher]
            assert weight["raw"] == pytest.approx(raw, abs=1e-9), (weigher, host)
            assert weight["normalized"] == pytest.approx(nova["normalized"][host], abs=1e-9), (weigher, host)
            if weight["multiplier"] is not None:
                assert weight["multiplier"] == pytest.approx(nova["multiplier"][host], abs=1e-9), (weigher, host)
    for host, weight in first["final"].items():
        assert ours["final"].get(host, 0.0) == pytest.approx(weight, abs=1e-9), host


def sane_alternates(record, request):
    """No alternate is the host itself, none is named twice, and there are at most max_attempts - 1."""
    for instance in record["requests"][0]["instances"]:
        assert instance["host"] not in instance["alternates"]
        assert len(set(instance["alternates"])) == len(instance["alternates"]) <= 2
        assert not {host.lower() for host in request.get("ignore_hosts", [])} & set(instance["alternates"])
