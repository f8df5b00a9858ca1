# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wires of external networks of OVN on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ovn_mappings
short_description: The wires of external networks on a host
description:
  - For each external network that a router goes out to on this host, the name of its wire and the bridge that is it.
positional: routers, host
options:
  _input:
    description: The variable C(virtfleet_networks).
    type: dict
    required: true
  routers:
    description: The variable C(virtfleet_routers).
    type: dict
    required: true
  host:
    description: The host.
    type: str
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show the wires of this host
  ansible.builtin.debug:
    msg: "{{ virtfleet_networks | virtfleet.compute.ovn_mappings(virtfleet_routers, inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: As Open vSwitch has it, C(wire:bridge) with commas between them.
  type: str
"""

from ..module_utils._ovn.row import switch_of


def ovn_mappings(networks, routers, host):
    """Return the wires of a host."""
    out = {
        one["external"]
        for one in (routers or {}).values()
        if host in one.get("gateway_hosts", ()) and one.get("external")
    }
    return ",".join(f"{switch_of(name)}:{networks[name]['bridge']}" for name in sorted(out) if name in (networks or {}))


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"ovn_mappings": ovn_mappings}
