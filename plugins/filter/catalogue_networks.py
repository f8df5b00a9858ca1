# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of the catalogue as modules take them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: catalogue_networks
short_description: The networks of the catalogue, complete
description:
  - Takes the variable C(virtfleet_networks) and returns what M(virtfleet.compute.networks) takes.
positional: names
options:
  _input:
    description: The variable C(virtfleet_networks).
    type: dict
    required: true
  names:
    description: Only these networks, with commas between them; V(all) for all.
    type: str
    default: all
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show the networks
  ansible.builtin.debug:
    msg: "{{ virtfleet_networks | virtfleet.compute.catalogue_networks }}"
"""

RETURN = r"""
_value:
  description: The networks by name; one that is not in the catalogue is refused.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

from ..plugin_utils._request.networks import chosen


def catalogue_networks(networks, names="all"):
    """Return the networks of these names."""
    try:
        return chosen(networks or {}, names)
    except KeyError as error:
        there = ", ".join(sorted(networks or {})) or "none"
        raise AnsibleFilterError(f"network '{error.args[0]}' is not in virtfleet_networks: there is {there}") from error


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"catalogue_networks": catalogue_networks}
