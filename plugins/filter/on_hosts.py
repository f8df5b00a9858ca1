# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images as if each host had an instance of each."""

from __future__ import annotations

DOCUMENTATION = r"""
name: on_hosts
short_description: Records that make stage image cache each image on each host
description:
  - For each host and image a record with C(name), C(uuid), C(host) and C(image), of which stage image reads no more.
positional: hosts
options:
  _input:
    description: Images of the catalogue, as M(virtfleet.compute.requests) tells them.
    type: list
    elements: dict
    required: true
  hosts:
    description: The hosts.
    type: list
    elements: str
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Want every image on two hosts
  ansible.builtin.set_fact:
    records: "{{ catalogue | virtfleet.compute.on_hosts(['kvm1', 'kvm2']) }}"
"""

RETURN = r"""
_value:
  description: The records.
  type: list
  elements: dict
"""


def on_hosts(images, hosts):
    """Return a record for each host and image."""
    return [
        {"name": one["name"], "uuid": f"image {one['name']} on {host}", "host": host, "image": one}
        for host in hosts
        for one in images
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"on_hosts": on_hosts}
