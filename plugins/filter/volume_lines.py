# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes as people read them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: volume_lines
short_description: One line for each volume
description:
  - What it is called, how large it is, where it is, who has it, and what became of it.
positional: done, verb
options:
  _input:
    description: The volumes as M(virtfleet.compute.volume_claims) returned them.
    type: list
    elements: dict
    required: true
  done:
    description: Those that M(virtfleet.compute.data_volumes) returned.
    type: list
    elements: dict
    required: true
  verb:
    description: What was asked for, V(list), V(create), V(delete) or V(retype).
    type: str
    default: list
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Print the volumes
  ansible.builtin.debug:
    msg: "{{ claims.volumes | virtfleet.compute.volume_lines(result.volumes) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

GIB = 1 << 30
FREE = "free"
WORDS = {
    ("list", True): "not made yet",
    ("create", True): "made or extended",
    ("delete", True): "deleted",
    ("retype", True): "moved",
}


def volume_lines(volumes, done, verb="list"):
    """Return one line for each volume."""
    told = {one["id"]: one for one in done}
    return [line(one, told.get(one["id"]), verb) for one in volumes]


def line(volume, told, verb):
    """Return the line of one volume."""
    place = "all hosts" if volume.get("everywhere") else volume.get("home") or "made by its first guest"
    head = f"{volume['name']} ({volume['project']}): {volume['size_gb']} GiB, {volume['backend']}, {place}"
    holder = f"attached to {volume['attached_to']}" if volume.get("attached_to") else FREE
    if volume.get("failed") or (told and told.get("failed")):
        return f"{head}, FAILED: {(told or volume)['msg'] or volume['msg']}"
    words = [holder, WORDS.get((verb, bool(told and told.get("changed"))), ""), (told or {}).get("next_boot", "")]
    return ", ".join([head, *(word for word in words if word)])


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"volume_lines": volume_lines}
