# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance records of a cell."""

from __future__ import annotations

DOCUMENTATION = r"""
name: of_cell
short_description: The instance records of one cell
description:
  - What has failed or waits is left out. One that shall go and that no cell has goes with the first.
positional: cell, first
options:
  _input:
    description: Instance records.
    type: list
    elements: dict
    required: true
  cell:
    description: The name of the cell.
    type: str
    required: true
  first:
    description: Whether it is the first of the fleet.
    type: bool
    default: false
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ records | virtfleet.compute.of_cell('east') }}"
"""

RETURN = r"""
_value:
  description: The records.
  type: list
  elements: dict
"""


def of_cell(records, cell, first=False):
    """Return the records of the cell that a run has something to do with."""
    return [
        one
        for one in records
        if (one.get("cell") == cell or (first and not one.get("cell") and one["state"] == "absent"))
        and not one.get("failed")
        and one.get("todo") != "wait"
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"of_cell": of_cell}
