# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes of claiming twice, where a killed run was in the way the first time."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.action.claims import added

NEW = {"uuid": "1", "changed": True, "failed": False, "msg": ""}
LEFT = {"uuid": "2", "changed": False, "failed": True, "msg": "run x is at work on it", "held_by": "x"}
FIRST = {"changed": True, "failed": True, "diff": ["new"], "instances": [NEW, LEFT]}


def test_the_second_answer_counts_with_what_the_first_one_changed():
    took = {"uuid": "2", "changed": True, "failed": False, "msg": ""}
    told = added(FIRST, {"changed": True, "diff": ["took"], "instances": [{**NEW, "changed": False}, took]})
    assert told == {"changed": True, "diff": ["new", "took"], "instances": [NEW, took]}


def test_a_second_call_that_breaks_says_so_and_what_was_changed():
    told = added(FIRST, {"failed": True, "msg": "registry is locked"})
    assert told == {"failed": True, "msg": "registry is locked", "changed": True, "diff": ["new"]}
