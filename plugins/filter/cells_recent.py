# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the hosts of no cell need be asked."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cells_recent
short_description: A run after the registries of its cells were asked whether the hosts need be asked
description:
  - They need not if every cell says so. Then its instances have their host, age and addresses and nothing to do.
positional: results
options:
  _input:
    description: The variable C(virtfleet_run), as M(virtfleet.compute.recent_info) with C(cells) registered it.
    type: dict
    required: true
  results:
    description: The results of a loop of M(virtfleet.compute.recent_info) over the cells.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: See whether all of them say that nothing is left to do
  ansible.builtin.set_fact:
    virtfleet_run: "{{ virtfleet_run | virtfleet.compute.cells_recent(cells.results) }}"
"""

RETURN = r"""
_value:
  description: The variable C(virtfleet_run), with C(recent), and C(age) if that is true.
  type: dict
"""

from ..plugin_utils._recent import over_cells


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cells_recent": over_cells}
