# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom other runs must be kept away from."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_guards
short_description: The instances that other runs must be kept away from during a sweep
description:
  - Those that findings of an audit belong to which a sweep takes away, as M(virtfleet.compute.guards) takes them.
positional: hosts
options:
  _input:
    description: What the filter P(virtfleet.compute.audit#filter) returned.
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
- name: Keep other runs away
  virtfleet.compute.guards:
    guards: "{{ found | virtfleet.compute.audit_guards }}"
    run: "{{ run_id }}"
"""

RETURN = r"""
_value:
  description: The instances.
  type: list
  elements: dict
"""

from ..plugin_utils._sweep import guards


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"audit_guards": guards}
