# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rebuild could not decide."""

from __future__ import annotations

DOCUMENTATION = r"""
name: undecided
short_description: What a rebuild of the registry could not decide
description:
  - A finding for each instance that failed in M(virtfleet.compute.rebuild).
options:
  _input:
    description: The C(instances) that M(virtfleet.compute.rebuild) returned.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Print what could not be decided
  ansible.builtin.debug:
    msg: "{{ restored.instances | virtfleet.compute.undecided | virtfleet.compute.findings_table }}"
"""

RETURN = r"""
_value:
  description: Findings, as P(virtfleet.compute.findings_table#filter) takes them.
  type: list
  elements: dict
"""

from ..plugin_utils._rebuild import undecided


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"undecided": undecided}
