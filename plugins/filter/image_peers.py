# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who hands an image over, and where."""

from __future__ import annotations

DOCUMENTATION = r"""
name: image_peers
short_description: What several hosts told of the images that they hand over, as module images takes it
description:
  - A list for the option C(peers) of M(virtfleet.compute.images). A host that could not hand anything over is left out.
options:
  _input:
    description: The results of a loop of M(virtfleet.compute.image_shares) over hosts.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Know who hands over which image
  ansible.builtin.set_fact:
    peers: "{{ shared.results | virtfleet.compute.image_peers }}"
"""

RETURN = r"""
_value:
  description: One entry for each image and host.
  type: list
  elements: dict
"""


def image_peers(results):
    """Return who hands over which image."""
    return [{**share, "host": result["item"]} for result in results for share in result.get("image_shares") or []]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"image_peers": image_peers}
