# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of a fleet as one list."""

from __future__ import annotations

DOCUMENTATION = r"""
name: existing
short_description: What all hosts told about their instances, as one list
description:
  - Each entry is what M(virtfleet.compute.host_info) told about a domain, and C(host), where it is.
options:
  _input:
    description: Host records.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Collect what is there
  ansible.builtin.set_fact:
    existing: "{{ hosts | virtfleet.compute.existing }}"
"""

RETURN = r"""
_value:
  description: The instances, host by host.
  type: list
  elements: dict
"""


def existing(hosts):
    """Return the instances of all hosts, each with the name of its host."""
    return [{**one, "host": host["name"]} for host in hosts for one in host.get("instances") or []]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"existing": existing}
