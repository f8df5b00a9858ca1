# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instance records with their cell."""

from __future__ import annotations

DOCUMENTATION = r"""
name: with_cell
short_description: Instance records with what the top registry said of them
description:
  - Their cell, their addresses, or why they have failed. What is in a cell that is left out stays as it is.
positional: cells, claimed, choice, top, dead
options:
  _input:
    description: Instance records.
    type: list
    elements: dict
    required: true
  cells:
    description: By UUID the cell.
    type: dict
    required: true
  claimed:
    description: The C(instances) that M(virtfleet.compute.claims) returned for the top registry.
    type: list
    elements: dict
    required: true
  choice:
    description: What P(virtfleet.compute.cells#lookup) returned.
    type: dict
    required: true
  top:
    description: The instances of the top registry with their records.
    type: list
    elements: dict
    required: true
  dead:
    description: Cells that are left out, with the reason.
    type: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ records | virtfleet.compute.with_cell(cells, claimed, choice, top.instances, dead) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""

from ..plugin_utils import _cells
from ..plugin_utils._to_do import with_task
from .existing import unknown


def with_cell(records, cells, claimed, choice, top, dead):
    """Return the records with their cells; those of a cell that is left out wait for it."""
    there = {one["uuid"]: unknown(one) for one in top if one["host"] in dead}
    told = _cells.with_cell(records, cells, claimed, choice)
    return [with_task(one, there[one["uuid"]], None) if one["uuid"] in there else one for one in told]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"with_cell": with_cell}
