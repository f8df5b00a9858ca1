# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for, compared with what all hosts have."""

from __future__ import annotations

DOCUMENTATION = r"""
name: compare
short_description: Instance records with what is left to do for each, from what the hosts told
description:
  - The filters P(virtfleet.compute.existing#filter), P(virtfleet.compute.known#filter),
    P(virtfleet.compute.leftovers#filter) and P(virtfleet.compute.to_do#filter) in one, so that what the hosts told,
    which is long, is handed over once.
positional: hosts, claims
options:
  _input:
    description: Instance records as of M(virtfleet.compute.requests).
    type: list
    elements: dict
    required: true
  hosts:
    description: Host records.
    type: list
    elements: dict
    required: true
  claims:
    description: The instances of the registry with their records, where a host did not answer.
    type: list
    elements: dict
    default: []
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: See what is left to do
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.compare(hosts) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""

from ..plugin_utils._request.requests import known
from .existing import existing
from .leftovers import leftovers
from .to_do import to_do


def compare(records, hosts, claims=()):
    """Return the records with what is left to do for each."""
    there = existing(hosts, claims)
    return to_do(known(records, there), there, leftovers(hosts))


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"compare": compare}
