# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scheduler is asked."""

from __future__ import annotations

DOCUMENTATION = r"""
name: scheduler_requests
short_description: The scheduler's requests for instances that have no host yet
description:
  - One request for each entry of C(virtfleet_instances), with the instances of it that are still to be placed.
  - Instances that are to be absent, have failed, have a host or are there are left out.
positional: existing, hosts
options:
  _input:
    description: Instance records as of M(virtfleet.compute.requests).
    type: list
    elements: dict
    required: true
  existing:
    description: What hosts told about instances that are there; they are the members of server groups.
    type: list
    elements: dict
    default: []
  hosts:
    description: Host records. An instance with a volume that one of them has in its own directory goes there.
    type: list
    elements: dict
    default: []
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Ask the scheduler
  ansible.builtin.set_fact:
    requests: "{{ instances | virtfleet.compute.scheduler_requests(existing) }}"
"""

RETURN = r"""
_value:
  description: Requests as the lookup P(virtfleet.compute.placement#lookup) takes them.
  type: list
  elements: dict
"""

from ..plugin_utils._request.requests import scheduler_requests


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"scheduler_requests": scheduler_requests}
