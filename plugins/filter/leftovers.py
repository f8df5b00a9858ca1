# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What killed runs left of instances."""

from __future__ import annotations

DOCUMENTATION = r"""
name: leftovers
short_description: On which host there are files or ports of an instance that has no domain
description:
  - A run that was killed may leave them; the instance is built where they are, or they are deleted with it.
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
- name: See what is left to do
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.to_do(existing, hosts | virtfleet.compute.leftovers) }}"
"""

RETURN = r"""
_value:
  description: The names of the hosts, by uuid of the instance.
  type: dict
"""


def leftovers(hosts):
    """Return by uuid the host that has something of an instance without a domain."""
    return {uuid: host["name"] for host in hosts for uuid in (host.get("extra") or {}).get("leftovers") or []}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"leftovers": leftovers}
