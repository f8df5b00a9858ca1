# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose disks are no strays, wherever they are."""

from __future__ import annotations

DOCUMENTATION = r"""
name: known_disks
short_description: The ids of all instances that hosts have, and of their volumes
description:
  - What belongs to one of these is no stray, wherever it is.
options:
  _input:
    description: Host records as of M(virtfleet.compute.host_info).
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ hosts | virtfleet.compute.known_disks }}"
"""

RETURN = r"""
_value:
  description: The UUIDs, sorted.
  type: list
  elements: str
"""

from ..plugin_utils._stores import known_disks


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"known_disks": known_disks}
