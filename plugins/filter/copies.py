# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be copied of the disks of instances, and what came of it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: copies
short_description: The snapshots or backups to make of instances
description:
  - Returns for each instance record an item for M(virtfleet.compute.snapshots), M(virtfleet.compute.backups) or
    M(virtfleet.compute.restores).
positional: name
options:
  _input:
    description: Instance records.
    type: list
    elements: dict
    required: true
  name:
    description: What the copy is to be called.
    type: str
    required: true
  each:
    description: Whether the name of the instance is put behind it, as names of snapshots differ on a host.
    type: bool
    default: false
  settings:
    description: What else the items say.
    type: dict
    default: {}
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Make a snapshot of each web server
  virtfleet.compute.snapshots:
    snapshots: "{{ records | virtfleet.compute.copies('golden', each=true) }}"
"""

RETURN = r"""
_value:
  description: The items.
  type: list
  elements: dict
"""

KEPT = ("name", "uuid", "project", "image")


def copies(records, name, each=False, settings=None):
    """Return the items, each with as much of the record as the module reads."""
    return [
        {
            **(settings or {}),
            "name": f"{name}-{one['name']}" if each else name,
            "instance": {key: one[key] for key in KEPT if key in one},
        }
        for one in records
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"copies": copies}
