# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances that somebody names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: chosen
short_description: The records of the instances of a host that somebody names
description:
  - Returns the records of those instances of a host that are named, as the host has them.
positional: names
options:
  _input:
    description: A host record as of M(virtfleet.compute.host_info).
    type: dict
    required: true
  names:
    description: Names with commas between them, C(project/name) outside the default project, or V(all).
    type: str
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Say which of them are here
  ansible.builtin.debug:
    msg: "{{ virtfleet_host_info.host | virtfleet.compute.chosen('web-1,web-2') | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: The records.
  type: list
  elements: dict
"""

from ..module_utils._model.host import unpacked
from ..module_utils._model.naming import DEFAULT_PROJECT


def wanted(names):
    """Return the names that are asked for as (project, name)."""
    found = [one.strip().rpartition("/") for one in str(names or "").split(",") if one.strip()]
    return list(dict.fromkeys((project or DEFAULT_PROJECT, name) for project, _slash, name in found))


def chosen(host, names):
    """Return the records of the instances of the host that are named."""
    ours = [one["record"] for one in unpacked(host) if one.get("ours") and one.get("record")]
    if names == "all":
        return ours
    asked = wanted(names)
    return [one for one in ours if (one.get("project") or DEFAULT_PROJECT, one["name"]) in asked]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"chosen": chosen}
