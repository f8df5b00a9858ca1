# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards that are free again."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_released
short_description: The guards of which nothing stayed after a sweep
description:
  - They can be released; the others expire by themselves, and the next sweep takes them up.
positional: after, hosts
options:
  _input:
    description: What M(virtfleet.compute.guards) returned.
    type: list
    elements: dict
    required: true
  after:
    description: What the filter P(virtfleet.compute.audit_swept#filter) returned.
    type: list
    elements: dict
    required: true
  hosts:
    description: Only those on these hosts; all unless given.
    type: list
    elements: str
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Let go of what was swept
  virtfleet.compute.guards:
    guards: "{{ guarded | virtfleet.compute.audit_released(after) }}"
    state: absent
    run: "{{ run_id }}"
"""

RETURN = r"""
_value:
  description: The guards.
  type: list
  elements: dict
"""

from ..plugin_utils._sweep import releasable


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"audit_released": releasable}
