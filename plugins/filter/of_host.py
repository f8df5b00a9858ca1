# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The share of one host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: of_host
short_description: The instances that a host still has to work on
description:
  - Of the instance records those that are placed on the host, have something left to do and have not failed; those to
    be deleted are among them. Why they are there, and where they could be instead, stays with the run.
  - One that waits for an address that another instance gives up (C(waits)) has its turn after that.
positional: host
options:
  _input:
    description: Instance records of the whole run.
    type: list
    elements: dict
    required: true
  host:
    description: Inventory name of the host.
    type: str
    required: true
  waiting:
    description: Whether those that wait are among them, as in a plan.
    type: bool
    default: false
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Take the instances of this host
  ansible.builtin.set_fact:
    virtfleet_here: {instances: "{{ instances | virtfleet.compute.of_host(inventory_hostname) }}"}
"""

RETURN = r"""
_value:
  description: The records of the host, in the order of the run.
  type: list
  elements: dict
"""


IDLE = ("none", "wait")
OF_THE_RUN = ("reason", "alternates")


def of_host(records, host, waiting=False):
    """Return the records on the host that have something left to do."""
    busy = [one for one in records if one.get("host") == host and not one.get("failed") and one.get("todo") not in IDLE]
    busy = [one for one in busy if waiting or not one.get("waits")]
    return [{key: value for key, value in one.items() if key not in OF_THE_RUN} for one in busy]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"of_host": of_host}
