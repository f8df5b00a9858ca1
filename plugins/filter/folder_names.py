# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of instances, host by host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: folder_names
short_description: The names of the folders of instances, by host
description:
  - Reads them from the result of M(ansible.builtin.find) that role traces left in the variables of each host.
options:
  _input:
    description: Variables of the hosts.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Compare
  ansible.builtin.debug:
    msg: "{{ names | map('extract', hostvars) | virtfleet.compute.folder_names }}"
"""

RETURN = r"""
_value:
  description: Names of folders by host.
  type: dict
"""


def folder_names(hosts):
    """Return the names of the folders by host."""
    return {
        host["inventory_hostname"]: [one["path"].rsplit("/", 1)[1] for one in host["traces_folders"]["files"]]
        for host in hosts
    }


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"folder_names": folder_names}
