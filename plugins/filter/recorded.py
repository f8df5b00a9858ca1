# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records that hosts keep of their instances."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recorded
short_description: The instance records that the hosts themselves keep
description:
  - Of what all hosts told about domains, those of this collection, as the records they were made from, with C(host)
    and C(power_state) as they are now.
options:
  _input:
    description: What the filter P(virtfleet.compute.existing#filter) returned.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Show what is there
  ansible.builtin.debug:
    msg: "{{ hosts | virtfleet.compute.existing | virtfleet.compute.recorded | virtfleet.compute.table }}"
"""

RETURN = r"""
_value:
  description: The records, by project and name.
  type: list
  elements: dict
"""


def recorded(existing):
    """Return the records of the instances that are ours."""
    records = [
        {**one["record"], "host": one["host"], "power_state": one["state"]} for one in existing if one.get("ours")
    ]
    return sorted(records, key=lambda one: (one.get("project", ""), one["name"], one["host"]))


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"recorded": recorded}
