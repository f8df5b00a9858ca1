# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run would do, in words."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: What a run would do and why, as lines
description:
  - A line for each instance that exists or is to go, and the scheduler's reason for each new one.
positional: decision
options:
  _input:
    description: Instance records of the whole run, after the stages placement and claim.
    type: list
    elements: dict
    required: true
  decision:
    description: What the lookup P(virtfleet.compute.placement#lookup) returned, empty when it was not asked.
    type: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Print the plan
  ansible.builtin.debug:
    msg: "{{ instances | virtfleet.compute.plan(decision) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from .explain import explain

WORDS = {
    "none": "nothing to do",
    "wait": "stays as it is: its host did not answer,",
    "update": "changes: see boot.yml --check --diff",
    "start": "starts",
    "stop": "stops",
    "delete": "is deleted",
}


def plan(records, decision):
    """Return the lines of the plan."""
    placed = explain(decision) if decision else []
    others = [line(one) for one in records if one.get("todo") != "create" or failed_later(one)]
    todo = sum(one.get("todo") not in ("none", "wait") for one in records)
    return [*placed, *others, f"{todo} of {len(records)} instances have something to do; nothing was changed"]


def failed_later(record):
    """Tell whether the instance failed for another reason than that there is no host for it, which is told already."""
    return record.get("failed") and record.get("msg") != record.get("reason")


def line(record):
    """Return the line of an instance that the scheduler was not asked about, or that failed after it."""
    where = f" on {record['host']}" if record.get("host") else ""
    if record.get("failed"):
        return f"{record['name']}  would fail{where}: {record['msg']}"
    return f"{record['name']}  {WORDS[record['todo']]}{where}"


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"plan": plan}
