# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells that instances name."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cell_wishes
short_description: The cells that instances name
description:
  - By UUID, of those that name one.
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
    msg: "{{ records | virtfleet.compute.cell_wishes }}"
"""

RETURN = r"""
_value:
  description: By UUID the name of the cell.
  type: dict
"""


def cell_wishes(records):
    """Return by uuid the cell that the spec names."""
    return {one["uuid"]: one["scheduling"]["cell"] for one in records if (one.get("scheduling") or {}).get("cell")}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"cell_wishes": cell_wishes}
