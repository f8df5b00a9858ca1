# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridges that the networks of an inventory want."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bridges_of
short_description: The names of the bridges of networks
description:
  - The bridge that each network names, or the one it gets by its name.
options:
  _input:
    description: The user's networks by name.
    type: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Show the bridges
  ansible.builtin.debug:
    msg: "{{ virtfleet_networks | virtfleet.compute.bridges_of }}"
"""

RETURN = r"""
_value:
  description: The names, sorted.
  type: list
  elements: str
"""

from ..module_utils._model import naming


def bridges_of(networks):
    """Return the bridges of the networks."""
    return sorted({(one or {}).get("bridge") or naming.bridge(name) for name, one in (networks or {}).items()})


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"bridges_of": bridges_of}
