# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cell has which instance."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cells_of
short_description: Which cell has which instance
description:
  - As the top registry says, else as a host of the cell tells.
positional: hosts, cells
options:
  _input:
    description: The instances of the top registry, whose hosts are cells.
    type: list
    elements: dict
    required: true
  hosts:
    description: Host records of all cells.
    type: list
    elements: dict
    required: true
  cells:
    description: The cells, as P(virtfleet.compute.leaf_cells#filter) returns them.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ top.instances | virtfleet.compute.cells_of(host_records, cells) }}"
"""

RETURN = r"""
_value:
  description: By UUID the name of the cell.
  type: dict
"""

from ..plugin_utils._cells import cells_of


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cells_of": cells_of}
