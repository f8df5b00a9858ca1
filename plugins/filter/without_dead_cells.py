# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host records without those of cells that are left out."""

from __future__ import annotations

DOCUMENTATION = r"""
name: without_dead_cells
short_description: Host records, those of cells that are left out as not up
description:
  - Nobody can say what is stray there.
positional: cells, dead
options:
  _input:
    description: Host records.
    type: list
    elements: dict
    required: true
  cells:
    description: The cells, as P(virtfleet.compute.leaf_cells#filter) returns them.
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
    msg: "{{ host_records | virtfleet.compute.without_dead_cells(cells, dead) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""

from ..plugin_utils._cells import of_dead


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"without_dead_cells": of_dead}
