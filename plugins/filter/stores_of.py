# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools and groups that a host looks into."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stores_of
short_description: The pools of Ceph and groups of LVM that a host looks into
description:
  - Every host looks into its own volume groups. Into a pool, which all hosts see, only the first one looks that knows
    it; for the others it has C(look) V(false).
positional: host
options:
  _input:
    description: By host its volume types (C(virtfleet_volume_types)), in an order; only hosts that can be read.
    type: dict
    required: true
  host:
    description: The host that is to look.
    type: str
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Look at what lies on this host
  virtfleet.compute.traces_info:
    stores: "{{ {'kvm1': virtfleet_volume_types} | virtfleet.compute.stores_of('kvm1') }}"
"""

RETURN = r"""
_value:
  description: The pools and groups, each with C(backend), what finds it, and C(look).
  type: list
  elements: dict
"""

from ..plugin_utils._stores import stores_of


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"stores_of": stores_of}
