# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells that have a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
name: leaf_cells
short_description: The cells of an inventory that have a registry each
description:
  - Refuses cells without a host, that share one, or that leave one out.
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
    msg: "{{ virtfleet_cells | virtfleet.compute.leaf_cells(groups) }}"
"""

RETURN = r"""
_value:
  description: The cells by name, each with C(name), C(hosts), C(registry_host) and C(registry_url).
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

from ..module_utils._model.errors import ItemError
from ..plugin_utils import _cells


def leaf_cells(cells, groups):
    """Return the cells that have a registry."""
    try:
        return _cells.leaf_cells(cells, groups)
    except ItemError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"leaf_cells": leaf_cells}
