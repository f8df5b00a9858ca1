# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cached images as people like to see them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: image_table
short_description: Cached images as a table
description:
  - Image, host, size, users, last use and last verification of each cached image, in columns as wide as their content.
options:
  _input:
    description: A mapping from the name of each host to what M(virtfleet.compute.images_info) told of it.
    type: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show what is cached
  ansible.builtin.debug:
    msg: "{{ caches | virtfleet.compute.image_table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table, the headings first.
  type: list
  elements: str
"""

COLUMNS = ("IMAGE", "HOST", "SIZE", "USED BY", "LAST USED", "VERIFIED")
MOST_USERS = 3


def image_table(caches):
    """Return the lines of the table, by image and host."""
    entries = [(one, host) for host, images in caches.items() for one in images]
    entries.sort(key=lambda entry: (entry[0]["name"] == "", entry[0]["name"], entry[1]))
    rows = [COLUMNS] + [row(*entry) for entry in entries]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(wide) for cell, wide in zip(cells, widths)).rstrip() for cells in rows]


def row(image, host):
    """Return the cells of one image of one host."""
    return (
        image["name"] or "(no record)",
        host,
        f"{image['size'] / 2**20:.0f} MiB",
        users(image["used_by"]),
        image["used_at"] or "-",
        "altered" if image["altered"] else image["verified_at"] or "-",
    )


def users(names):
    """Return who uses an image, the first few by name."""
    if names is None:
        return "unknown"
    more = f" and {len(names) - MOST_USERS} more" if len(names) > MOST_USERS else ""
    return ", ".join(names[:MOST_USERS]) + more or "-"


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"image_table": image_table}
