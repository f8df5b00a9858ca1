# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots and backups as people read them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: copies_table
short_description: Snapshots and backups as lines of a table
description:
  - Returns a line for each, and one with the names of the columns before them.
options:
  _input:
    description: What M(virtfleet.compute.backups_info) returned as snapshots or backups.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Print the backups
  ansible.builtin.debug:
    msg: "{{ told.backups | virtfleet.compute.copies_table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

HEAD = ("INSTANCE", "NAME", "MADE (UTC)", "KIND", "CONSISTENT", "MIB")


def row(one):
    """Return the words for one."""
    kind = "image" if one.get("image") else f"since {one['parent']}" if one.get("parent") else "full"
    return (
        one["instance"],
        one["name"],
        one["created_at"],
        kind,
        "yes" if one["quiesced"] else "crash",
        str(one["size"] >> 20),
    )


def copies_table(found):
    """Return the table."""
    rows = [HEAD, *map(row, found)]
    widths = [max(len(words[column]) for words in rows) for column in range(len(HEAD))]
    return ["  ".join(word.ljust(width) for word, width in zip(words, widths)).rstrip() for words in rows]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"copies_table": copies_table}
