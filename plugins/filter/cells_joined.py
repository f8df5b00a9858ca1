# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of all cells as one list again."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cells_joined
short_description: The records of all cells as one list, in the order of the run
description:
  - Their ports have the subnets of the networks again.
positional: asked, before
options:
  _input:
    description: Instance records of the cells.
    type: list
    elements: dict
    required: true
  asked:
    description: The records of the run before its cells were taken one by one.
    type: list
    elements: dict
    required: true
  before:
    description: The records as stage request made them.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ done | virtfleet.compute.cells_joined(records, asked) }}"
"""

RETURN = r"""
_value:
  description: The records.
  type: list
  elements: dict
"""

from ..plugin_utils._cells import in_order, unpinned


def cells_joined(records, asked, before):
    """Return the records in the order of the run."""
    return in_order(unpinned(records, before), asked)


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cells_joined": cells_joined}
