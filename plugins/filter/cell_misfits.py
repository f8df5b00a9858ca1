# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the top registry and a cell say different things."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cell_misfits
short_description: Where the top registry and those of the cells say different things
description:
  - As findings of an audit.
positional: claims, cells, dead
options:
  _input:
    description: The instances of the top registry, whose hosts are cells.
    type: list
    elements: dict
    required: true
  claims:
    description: The instances of the registries of all cells.
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
    msg: "{{ top.instances | virtfleet.compute.cell_misfits(claims, cells, dead) }}"
"""

RETURN = r"""
_value:
  description: The findings.
  type: list
  elements: dict
"""

from ..plugin_utils._cells import misfits


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cell_misfits": misfits}
