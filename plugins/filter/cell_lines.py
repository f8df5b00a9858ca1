# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why each instance has its cell."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cell_lines
short_description: Why each instance has its cell, as lines
description:
  - A line for each instance that a cell was chosen for in this run.
options:
  _input:
    description: Instance records.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ records | virtfleet.compute.cell_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def cell_lines(records):
    """Return a line for each instance that a cell was chosen for."""
    return [
        f"{one['name']}  cell {one['cell']}: {one['cell_reason']}"
        if one.get("cell")
        else f"{one['name']}  {one['cell_reason']}"
        for one in records
        if one.get("cell_reason")
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cell_lines": cell_lines}
