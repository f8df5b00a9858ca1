# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks with who uses them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: networks_in_use
short_description: The networks with the instances that use them
description:
  - Networks that the registry has a port of are told as failed, for they cannot be deleted.
positional: instances
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
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show what cannot be deleted
  ansible.builtin.debug:
    msg: "{{ networks | virtfleet.compute.networks_in_use(registry.instances) | selectattr('failed') }}"
"""

RETURN = r"""
_value:
  description: The networks with C(users), C(failed) and C(msg).
  type: list
  elements: dict
"""

from ..plugin_utils._request.networks import in_use


def networks_in_use(networks, instances):
    """Return the networks with their users."""
    return in_use(networks, instances)


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"networks_in_use": networks_in_use}
