# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host told, in the scheduler's words."""

from __future__ import annotations

DOCUMENTATION = r"""
name: scheduler_hosts
short_description: Host records as the scheduler takes them
description:
  - The fields the scheduler knows stay; all others, such as the machine types, go into C(extra), where rules and
    filters may read them.
options:
  _input:
    description: Host records as of M(virtfleet.compute.host_info).
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Ask the scheduler
  ansible.builtin.set_fact:
    decision: "{{ lookup('virtfleet.compute.placement', requests, hosts=hosts | virtfleet.compute.scheduler_hosts) }}"
"""

RETURN = r"""
_value:
  description: The host records, same length and order.
  type: list
  elements: dict
"""

from ..module_utils._model.host import unpacked
from ..plugin_utils._scheduler.fields import FIELDS

# What the scheduler reads of a domain; the whole record of an instance would make its own record of the decision heavy.
OF_INSTANCE = ("uuid", "name", "project_id", "vcpus", "memory_mb", "disk_gb")
# What only modules need.
DROPPED = ("image_cache", "reason", "updated_at")


def scheduler_hosts(hosts):
    """Return the host records in the scheduler's words."""
    return [in_its_words(host) for host in hosts]


def in_its_words(host):
    """Return one host record in the scheduler's words."""
    known = {key: value for key, value in host.items() if key in FIELDS}
    extra = {key: value for key, value in host.items() if key not in FIELDS and key not in DROPPED}
    known["instances"] = [instance(one) for one in unpacked(host)]
    return {**known, "extra": {**(host.get("extra") or {}), **extra}}


def instance(found):
    """Return what the scheduler reads of one domain."""
    record = found.get("record") or {}
    told = {key: found[key] for key in OF_INSTANCE if found.get(key) is not None}
    group = (record.get("server_group") or {}).get("name")
    properties = (record.get("image") or {}).get("properties")
    return {
        **told,
        **({"server_group": group} if group else {}),
        **({"image_properties": properties} if properties else {}),
    }


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"scheduler_hosts": scheduler_hosts}
