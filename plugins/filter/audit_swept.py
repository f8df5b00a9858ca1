# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings after a sweep."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_swept
short_description: The findings of an audit with what a sweep did to each
description:
  - Each finding has C(done) then, V(removed), V(would go) or V(kept), and in its evidence why it was kept.
positional: results, guarded, rehearsed
options:
  _input:
    description: What the filter P(virtfleet.compute.audit#filter) returned.
    type: list
    elements: dict
    required: true
  results:
    description: By host the C(traces) that M(virtfleet.compute.traces) returned.
    type: dict
    required: true
  guarded:
    description: What M(virtfleet.compute.guards) returned.
    type: list
    elements: dict
    required: true
  rehearsed:
    description: Whether nothing was really removed.
    type: bool
    default: false
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: See what became of the findings
  ansible.builtin.set_fact:
    after: "{{ found | virtfleet.compute.audit_swept(results, guarded) }}"
"""

RETURN = r"""
_value:
  description: The findings, same length and order.
  type: list
  elements: dict
"""

from ..plugin_utils._sweep import swept


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"audit_swept": swept}
