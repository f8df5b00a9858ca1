# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of an audit, in words."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_lines
short_description: The findings of an audit as lines
description:
  - A line for each finding, with its host, its evidence and its remedy.
options:
  _input:
    description: What the filter P(virtfleet.compute.audit#filter) returned.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Print what does not fit
  ansible.builtin.debug:
    msg: "{{ found | virtfleet.compute.audit_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from ..plugin_utils._audit import audit_lines


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"audit_lines": audit_lines}
