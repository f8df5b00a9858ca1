# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When claims are to be renewed, as the roles have it: the same moment wherever the controller is."""

from __future__ import annotations

import pathlib
import re
import time

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_lease_is_due_at_the_same_moment_in_every_time_zone(monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    plain = jinja2.Environment(undefined=jinja2.StrictUndefined)
    plain.filters.update({f"ansible.builtin.{name}": one for name, one in FilterModule().filters().items()})
    (*_renewal, note) = yaml.safe_load((ROLES / "lease/tasks/main.yml").read_text())
    due = note["ansible.builtin.set_fact"]["virtfleet_lease_due"]
    before = int(time.time())
    told = int(plain.from_string(due).render(lease_seconds=900))
    assert before + 300 <= told <= int(time.time()) + 300
    monkeypatch.undo()
    time.tzset()


def test_no_role_takes_a_moment_without_a_time_zone_for_one_with():
    told = [str(path) for path in ROLES.glob("*/*/*.yml") if re.search(r"now\([^)]*\)\.timestamp", path.read_text())]
    assert told == []
