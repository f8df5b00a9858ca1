# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what runs differs from the spec."""

from __future__ import annotations

DOCUMENTATION = r"""
name: spec_differences
short_description: How the instances of the hosts differ from the spec
description:
  - Tells what the spec has and no host does, what a host has and the spec lacks, and of each that both have what
    differs in flavor, image, networks, addresses, state and all else that makes a guest what it is.
positional: wanted
options:
  _input:
    description: The instances of all hosts that are ours, each with C(record), C(state) and C(host).
    type: list
    elements: dict
    required: true
  wanted:
    description: The records that M(virtfleet.compute.requests) made of the spec.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Say how the fleet differs from the spec
  ansible.builtin.debug:
    msg: "{{ found | virtfleet.compute.spec_differences(virtfleet_run.instances) | virtfleet.compute.findings_table }}"
"""

RETURN = r"""
_value:
  description: Findings, as P(virtfleet.compute.findings_table#filter) takes them.
  type: list
  elements: dict
"""

from ..plugin_utils._rebuild import spec_differences


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"spec_differences": spec_differences}
