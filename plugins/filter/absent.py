# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to go."""

from __future__ import annotations

DOCUMENTATION = r"""
name: absent
short_description: Entries of virtfleet_instances for instances that are to go
description:
  - For V(all) the given entries with C(state=absent); else an entry for each name, whether it is in the spec or not.
positional: names
options:
  _input:
    description: C(virtfleet_instances).
    type: list
    elements: dict
    required: true
  names:
    description: V(all), or names with commas between them, each C(name) or C(project/name).
    type: str
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Take two instances away
  ansible.builtin.set_fact:
    entries: "{{ virtfleet_instances | virtfleet.compute.absent('web-1,lab/db-2') }}"
"""

RETURN = r"""
_value:
  description: The entries.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError


def absent(instances, names):
    """Return the entries of what is to go."""
    if names == "all":
        return [{**one, "state": "absent"} for one in instances]
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if not chosen:
        raise AnsibleFilterError("say what is to be deleted: -e names=web-1,web-2, or -e names=all for the whole spec")
    return [entry(name) for name in dict.fromkeys(chosen)]


def entry(name):
    """Return the entry for one name."""
    project, slash, short = name.rpartition("/")
    return {"name": short, "state": "absent", **({"project": project} if slash else {})}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"absent": absent}
