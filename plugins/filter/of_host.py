# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The share of one host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: of_host
short_description: The instances that a host still has to work on
description:
  - Of the instance records those that are placed on the host, have something left to do and have not failed.
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
  with_deleted:
    description: Whether those to be deleted are wanted too.
    type: bool
    default: false
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Build the volumes of this host's instances
  virtfleet.compute.volumes:
    instances: "{{ instances | virtfleet.compute.of_host(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The records of the host, in the order of the run.
  type: list
  elements: dict
"""


def of_host(records, host, with_deleted=False):
    """Return the records on the host that have something left to do."""
    done = ("none", "wait") if with_deleted else ("none", "wait", "delete")
    return [one for one in records if one.get("host") == host and not one.get("failed") and one.get("todo") not in done]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"of_host": of_host}
