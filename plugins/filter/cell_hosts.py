# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of each cell."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cell_hosts
short_description: The hosts of each cell of an inventory
description:
  - Also of cells that have others inside.
positional: groups
options:
  _input:
    description: The user's cells by name.
    type: dict
    required: true
  groups:
    description: The groups of the inventory.
    type: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ virtfleet_cells | virtfleet.compute.cell_hosts(groups) }}"
"""

RETURN = r"""
_value:
  description: By cell the names of its hosts.
  type: dict
"""

from ..plugin_utils._cells import cell_hosts


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cell_hosts": cell_hosts}
