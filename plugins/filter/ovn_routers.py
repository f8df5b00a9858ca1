# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routers of networks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ovn_routers
short_description: The routers that go with networks
description:
  - Those of which no network stays.
positional: networks
options:
  _input:
    description: The variable C(virtfleet_routers).
    type: dict
    required: true
  networks:
    description: The networks that go; nothing for all routers.
    type: list
    elements: dict
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ virtfleet_routers | virtfleet.compute.ovn_routers(networks) }}"
"""

RETURN = r"""
_value:
  description: The routers by name.
  type: dict
"""


def ovn_routers(routers, networks=None):
    """Return the routers that are on no other network."""
    if networks is None:
        return dict(routers or {})
    going = {one["name"] for one in networks}
    return {name: one for name, one in (routers or {}).items() if set(one["networks"]) <= going}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"ovn_routers": ovn_routers}
