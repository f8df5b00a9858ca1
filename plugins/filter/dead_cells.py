# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells that are left out."""

from __future__ import annotations

DOCUMENTATION = r"""
name: dead_cells
short_description: The cells whose registry cannot be read
description:
  - Each with the reason.
positional: hosts
options:
  _input:
    description: The results of a loop of M(virtfleet.compute.registry_info) over the cells, as C(cell).
    type: list
    elements: dict
    required: true
  hosts:
    description: Host records of the run, if a cell of which no host answered is left out too.
    type: list
    elements: dict
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ registries.results | virtfleet.compute.dead_cells }}"
"""

RETURN = r"""
_value:
  description: By cell the reason.
  type: dict
"""

from ..plugin_utils._cells import dead_cells


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"dead_cells": dead_cells}
