# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sweep takes from a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_sweep
short_description: What a sweep takes away from one host
description:
  - The findings on the host, as M(virtfleet.compute.traces) takes them; what belongs to an instance only where that
    could be guarded.
positional: host, guarded
options:
  _input:
    description: What the filter P(virtfleet.compute.audit#filter) returned.
    type: list
    elements: dict
    required: true
  host:
    description: The name of the host.
    type: str
    required: true
  guarded:
    description: What M(virtfleet.compute.guards) returned.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Take away what is left over
  virtfleet.compute.traces:
    traces: "{{ found | virtfleet.compute.audit_sweep(inventory_hostname, guarded) }}"
"""

RETURN = r"""
_value:
  description: What is to go.
  type: list
  elements: dict
"""

from ..plugin_utils._sweep import to_sweep


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"audit_sweep": to_sweep}
