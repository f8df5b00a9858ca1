# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts with something to do."""

from __future__ import annotations

DOCUMENTATION = r"""
name: busy_hosts
short_description: The hosts that have an instance with something to do
description:
  - The names of the hosts of all records whose C(todo) is not C(none), sorted.
options:
  _input:
    description: Instance records of the whole run, after stage claim.
    type: list
    elements: dict
    required: true
  pattern:
    description:
      - V(true) for a pattern that a play takes as its hosts, which matches none if there are none.
      - The controller is in it too, with nothing to do. Ansible ends the whole playbook when a play has no host left,
        and after the last host was lost there still are claims to settle.
    type: bool
    default: false
  also:
    description: Hosts with something to do beside instances, such as those that must be told of new group members.
    type: raw
    default: []
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Work on the hosts that have something to do
  hosts: "{{ hostvars.localhost.virtfleet_run.instances | virtfleet.compute.busy_hosts(pattern=true) }}"
"""

RETURN = r"""
_value:
  description: The names of the hosts, or the pattern.
  type: raw
"""

IDLE = ("none", "wait")
NOBODY = "!all"
CONTROLLER = "localhost"


def busy_hosts(records, pattern=False, also=()):
    """Return the names of the hosts with something to do."""
    busy = sorted({*also, *(one["host"] for one in records if one.get("todo") not in IDLE and one.get("host"))})
    if not pattern:
        return busy
    return ",".join([*busy, CONTROLLER]) if busy else NOBODY


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"busy_hosts": busy_hosts}
