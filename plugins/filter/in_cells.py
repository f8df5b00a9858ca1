# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances with their cells as hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: in_cells
short_description: Instances with their cells in place of their hosts
description:
  - As the top registry of a fleet with cells is made again of them.
positional: cells
options:
  _input:
    description: What hosts told of instances, each with C(host).
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
- name: Make the top registry again
  virtfleet.compute.rebuild:
    instances: "{{ found | virtfleet.compute.in_cells(cells) }}"
    run: "{{ run_id }}"
"""

RETURN = r"""
_value:
  description: The instances.
  type: list
  elements: dict
"""

from ..plugin_utils._cells import in_cells


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"in_cells": in_cells}
