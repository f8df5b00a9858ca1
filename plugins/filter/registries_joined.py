# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all registries say."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registries_joined
short_description: What the registries of all cells say as one
description:
  - One that cannot be read is left out with its reason, or refused.
positional: strict
options:
  _input:
    description: The results of a loop of M(virtfleet.compute.registry_info) over the cells, as C(cell).
    type: list
    elements: dict
    required: true
  strict:
    description: Whether one that cannot be read is refused.
    type: bool
    default: false
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Use it
  ansible.builtin.debug:
    msg: "{{ registries.results | virtfleet.compute.registries_joined }}"
"""

RETURN = r"""
_value:
  description: C(instances), C(volumes), C(history), and C(dead), by cell the reason.
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ..module_utils._model.errors import ItemError
from ..plugin_utils import _cells


def registries_joined(results, strict=False):
    """Return what the registries say as one."""
    try:
        return _cells.joined(results, strict)
    except ItemError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"registries_joined": registries_joined}
