# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of some images."""

from __future__ import annotations

DOCUMENTATION = r"""
name: of_images
short_description: The records that are made from one of these images
description:
  - Of the records those whose image has one of the ids that M(virtfleet.compute.image_shares) names.
positional: ids
options:
  _input:
    description: Records with C(image), as instance records have it.
    type: list
    elements: dict
    required: true
  ids:
    description: The images, by the names of their records in the caches.
    type: list
    elements: str
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Choose the instances of an image
  ansible.builtin.set_fact:
    chosen: "{{ instances | virtfleet.compute.of_images(['0f3d2f1a8c4b7e6d5a9b8c7d6e5f4a3b']) }}"
"""

RETURN = r"""
_value:
  description: The records.
  type: list
  elements: dict
"""

from ..module_utils._images.image import shared_id


def of_images(records, ids):
    """Return the records that are made from one of the images."""
    chosen = set(ids)
    return [one for one in records if one.get("image") and shared_id(one["image"]) in chosen]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"of_images": of_images}
