# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that could not go on takes its instances with it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: give_up
short_description: Instance records of a host that failed as a whole
description:
  - Each record that has not failed by itself is failed, by fault of the host, with the host's own reason.
positional: reason
options:
  _input:
    description: Instance records of one host.
    type: list
    elements: dict
    required: true
  reason:
    description: Why the host could not go on.
    type: str
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Fail what this host was working on
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.give_up(ansible_failed_result.msg) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""


def give_up(records, reason):
    """Return the records, all failed."""
    return [one if one.get("failed") else {**one, "failed": True, "fault": "host", "msg": reason} for one in records]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"give_up": give_up}
