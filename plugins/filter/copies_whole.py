# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups became full ones."""

from __future__ import annotations

DOCUMENTATION = r"""
name: copies_whole
short_description: Which backups of kind auto became full ones, and why
description:
  - Returns a sentence for each backup that could not go on from the last one.
options:
  _input:
    description: By host what M(virtfleet.compute.backups) returned; null for one that did not come to the end.
    type: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Say what is a whole copy
  ansible.builtin.debug:
    msg: "{{ results | virtfleet.compute.copies_whole }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""


def copies_whole(results):
    """Return what was copied whole, in words."""
    return [
        f"{one['name']} on {host} was copied whole: {one['why_full']}"
        for host, items in sorted(results.items())
        for one in items or []
        if one.get("why_full") and not one.get("failed")
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"copies_whole": copies_whole}
