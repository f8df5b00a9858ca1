# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as one table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: findings_table
short_description: The findings of an audit or a rebuild as one table
description:
  - A line for each finding with its host, kind, name, age and whether C(-e gc=true) removes it; below it its evidence
    and its remedy.
options:
  _input:
    description: Findings, as P(virtfleet.compute.audit#filter) returns them.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Print what does not fit
  ansible.builtin.debug:
    msg: "{{ found | virtfleet.compute.findings_table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from ..plugin_utils._findings import findings_table


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"findings_table": findings_table}
