# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the top registry is asked to claim."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_top
short_description: Instance records as the top registry claims them
description:
  - Each in its cell, with its server group held together there.
  - What has no cell, is in a cell that is left out, has failed or shall go is not among them.
positional: cells, dead
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
    msg: "{{ records | virtfleet.compute.to_top(cells, dead) }}"
"""

RETURN = r"""
_value:
  description: The records.
  type: list
  elements: dict
"""

from ..plugin_utils._cells import to_top


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"to_top": to_top}
