# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for, with what is there already."""

from __future__ import annotations

DOCUMENTATION = r"""
name: known
short_description: Instance records with what hosts know about them
description:
  - Each record of an instance that is there takes over its host, age and addresses; the others stay as they are.
  - A record with C(state=absent) takes over the whole record that the host has, for the undo needs it.
positional: existing
options:
  _input:
    description: Instance records as of M(virtfleet.compute.requests).
    type: list
    elements: dict
    required: true
  existing:
    description: What hosts told about instances that are there.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Look at what is there already
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.known(existing) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""

from ..plugin_utils._request.requests import known


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"known": known}
