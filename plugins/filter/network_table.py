# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as people like to see them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: network_table
short_description: Networks as a table
description:
  - Name, project, type, number, MTU, ranges, used and free addresses, hosts and users of each network.
positional: instances, hosts
options:
  _input:
    description: The networks, as P(virtfleet.compute.catalogue_networks#filter) returns them.
    type: list
    elements: dict
    required: true
  instances:
    description: The instances of the registry with their records.
    type: list
    elements: dict
    required: true
  hosts:
    description: A mapping from the name of each host to what M(virtfleet.compute.networks) told of it.
    type: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show the networks
  ansible.builtin.debug:
    msg: "{{ networks | virtfleet.compute.network_table(registry.instances, told) }}"
"""

RETURN = r"""
_value:
  description: The lines of the table, the headings first.
  type: list
  elements: str
"""

from ..plugin_utils._request.networks import table


def network_table(networks, instances, hosts):
    """Return the lines of the table."""
    return table(networks, instances, hosts)


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"network_table": network_table}
