# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host, whether it answered or not."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_record
short_description: The record of a host, also of one that could not be reached
description:
  - What M(virtfleet.compute.host_info) returned; for a host that could not be reached a record with C(up=false) and the
    reason, as the module makes it where libvirtd does not answer.
positional: name, settings
options:
  _input:
    description: The registered result of M(virtfleet.compute.host_info), with C(ignore_unreachable).
    type: dict
    required: true
  name:
    description: The name of the host in the inventory.
    type: str
    required: true
  settings:
    description: What the record is to hold whatever the host says, as for the module.
    type: dict
    default: {}
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Ask the host
  virtfleet.compute.host_info:
    name: "{{ inventory_hostname }}"
  register: result
  ignore_unreachable: true

- name: Keep its record
  ansible.builtin.set_fact:
    virtfleet_host: "{{ result | virtfleet.compute.host_record(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The host record.
  type: dict
"""

from ..module_utils._model.host import down


def host_record(result, name, settings=None):
    """Return the record of the host."""
    if result.get("host"):
        return result["host"]
    said = str(result.get("msg") or "no reason was given").removeprefix("Task failed: ")
    return {**down(name, "", f"it cannot be reached: {said}"), **(settings or {})}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"host_record": host_record}
