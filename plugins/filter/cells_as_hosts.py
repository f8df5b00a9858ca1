# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells as the top registry sees them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cells_as_hosts
short_description: Cells as host records
description:
  - To the top registry a cell is a host with all that its hosts may promise together.
positional: hosts, dead
options:
  _input:
    description: The cells, as P(virtfleet.compute.leaf_cells#filter) returns them.
    type: list
    elements: dict
    required: true
  hosts:
    description: Host records of all cells.
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
    msg: "{{ cells | virtfleet.compute.cells_as_hosts(host_records, dead) }}"
"""

RETURN = r"""
_value:
  description: The host records.
  type: list
  elements: dict
"""

from ..plugin_utils._cells import as_hosts


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cells_as_hosts": as_hosts}
