# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule of every fleet in tests/unit/fleets is green, and every filter and weigher has one."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from ansible_collections.virtfleet.compute.plugins.plugin_utils._files import fleet_files, load_mapping
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.filters import FILTERS
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.fleet import check_fleet
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.weighers import WEIGHERS

FLEETS = pathlib.Path(__file__).parents[3] / "fleets"
GUIDE = (FLEETS.parents[2] / "docs" / "scheduler.md").read_text()
FILES = fleet_files(str(FLEETS))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_fleet_is_green(file):
    red = [answer for answer in check_fleet(load_mapping(file)) if not answer["green"]]
    assert not red


@pytest.mark.parametrize("name", [one.name for one in (*FILTERS, *WEIGHERS)])
def test_there_is_a_fleet_for(name):
    texts = [file.read_text() for file in FILES]
    assert any(name in text.partition("given:")[2] or name in text for text in texts)


def test_the_guide_names_every_filter_and_weigher_and_its_example_is_green():
    assert not [one.name for one in (*FILTERS, *WEIGHERS) if one.name not in GUIDE]
    example = yaml.safe_load("given:" + GUIDE.partition("```yaml\ngiven:")[2].partition("```")[0])
    assert all(answer["green"] for answer in check_fleet(example))


def test_every_difference_from_nova_in_the_guide_names_a_fleet_that_is_there():
    section = GUIDE.partition("## Where it differs from Nova")[2].partition("\n## ")[0]
    rows = [row.split("|")[3].strip() for row in section.splitlines() if row.startswith("| ") and "---" not in row][1:]
    named = [name for row in rows for name in re.findall(r"^[a-z_]+(?=,|$)|(?<=, )[a-z_]+", row)]
    assert len(named) >= 8
    assert set(named) <= {file.stem for file in FILES}


def test_a_red_rule_says_what_is_wrong():
    fleet = {
        "given": {
            "hosts": [
                {"name": name, "vcpus": 4, "vcpus_used": 0, "memory_mb": 8192, "memory_mb_used": 0}
                | {"disk_gb": 100, "disk_gb_used": 0}
                for name in ("a", "b")
            ]
        },
        "when": [{"name": "vm", "vcpus": 1, "memory_mb": 1024, "disk_gb": 1}],
        "expect": [{"instance": "vm", "host": "b"}, {"instance": "no-such", "host": "a"}],
        "never": [{"rule": "nothing on a", "host": "a"}],
    }
    assert check_fleet(fleet) == [
        {"rule": "expect instance: vm, host: b", "green": False, "why": "vm is on a"},
        {"rule": "expect instance: no-such, host: a", "green": False, "why": "there is no instance no-such"},
        {"rule": "never nothing on a", "green": False, "why": "it is so for vm"},
    ]
