# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the undo of each stage did, written into the records."""

from __future__ import annotations

DOCUMENTATION = r"""
name: undone
short_description: Instance records with what became of their undo
description:
  - A record whose every stage was undone gets C(undone=true). One that could not be undone is failed, keeps the reason
    it failed for, and says what was left behind, so that its claim is kept.
positional: results
options:
  _input:
    description: Instance records of one host.
    type: list
    elements: dict
    required: true
  results:
    description: What the modules returned with O(ignore:state=absent), in the order they ran.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Take over what was undone
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.undone([domains_result, volumes_result]) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""


def undone(records, results):
    """Return the records with what became of their undo."""
    asked, changed, left = set(), set(), {}
    for result in results:
        for one in result.get("instances") or []:
            asked.add(one["uuid"])
            if one.get("changed"):
                changed.add(one["uuid"])
            if one.get("failed"):
                left.setdefault(one["uuid"], []).append(one["msg"])
    return [
        with_undo(one, left.get(one["uuid"]), one["uuid"] in changed) if one["uuid"] in asked else one
        for one in records
    ]


def with_undo(record, left, changed):
    """Return one record after its undo."""
    if not left:
        return {**record, "undone": True, "changed": bool(record.get("changed")) or changed}
    reasons = [record["msg"]] if record.get("failed") and record.get("msg") else []
    message = "; ".join([*reasons, "could not be undone: " + "; ".join(left)])
    return {**record, "undone": False, "failed": True, "fault": "host", "msg": message}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"undone": undone}
