# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What did not come of copies of instances."""

from __future__ import annotations

DOCUMENTATION = r"""
name: copies_problems
short_description: What failed of snapshots, backups or restores on all hosts
description:
  - Returns a sentence for each item that failed, for each host that did not come to the end, and for each instance that
    was named and is on no host.
positional: names
options:
  _input:
    description: By host the list that its module returned, or null for a host that did not come to the end.
    type: dict
    required: true
  names:
    description: The names that were asked for, as P(virtfleet.compute.chosen#filter) takes them; empty for no names.
    type: str
    required: true
  found:
    description: The records of the instances that were found by their names.
    type: list
    elements: dict
    default: []
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Fail if something failed
  ansible.builtin.fail:
    msg: "{{ results | virtfleet.compute.copies_problems('web-1', found=records) | join('; ') }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""

from ..module_utils._model.naming import DEFAULT_PROJECT
from .chosen import wanted


def copies_problems(results, names, found=()):
    """Return what failed, in words."""
    told = []
    for host, items in sorted(results.items()):
        if items is None:
            told.append(f"{host} did not come to the end: see above")
        told += [f"{one['name']} on {host}: {one['msg']}" for one in items or [] if one.get("failed")]
    there = {(one.get("project") or DEFAULT_PROJECT, one["name"]) for one in found}
    missing = [] if names == "all" else [name for project, name in wanted(names) if (project, name) not in there]
    return told + [f"{name} is on no host that answered: list.yml tells what there is" for name in missing]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"copies_problems": copies_problems}
