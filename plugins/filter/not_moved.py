# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no other host takes has failed where it was."""

from __future__ import annotations

DOCUMENTATION = r"""
name: not_moved
short_description: Instance records after a move, those that no other host takes as they had failed before
description:
  - An instance that was to be tried again and got no other host has failed on the last one it was tried with, for the
    reason it had there, and says why no other takes it. Where something may be left of it, its claim stays.
options:
  _input:
    description: Instance records of the whole run, after P(virtfleet.compute.to_alternate#filter) and the claim.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Say what no other host takes
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.not_moved }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""

from .place import nowhere_else


def not_moved(records):
    """Return the records, those that got no other host failed on their last one."""
    return [where_it_was(one) if has_no_host(one) else one for one in records]


def has_no_host(record):
    """Tell whether an instance was to be tried again and got no host."""
    return bool(record.get("failed") and record.get("todo") == "create" and record.get("tried"))


def where_it_was(record):
    """Return the record as it had failed on the last host, and why no other takes it."""
    *tried, last = record["tried"]
    reason = {"msg": nowhere_else(last["msg"], str(record.get("msg") or "no reason was given"))}
    before = {**last, **reason, "fault": "host", "todo": "none", "attempts": record["attempts"] - 1, "tried": tried}
    return {**record, **before}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"not_moved": not_moved}
