# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images a user names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: chosen_images
short_description: The images with these names
description:
  - Of the images those with the names, in the order of the names; for V(all) those of O(all_of), or every one.
  - A name that is not there is an error, unless O(missing_ok).
positional: names
options:
  _input:
    description: Images, each with C(name).
    type: list
    elements: dict
    required: true
  names:
    description: V(all), or names with commas between them.
    type: str
    required: true
  all_of:
    description: The names that V(all) stands for.
    type: list
    elements: str
  missing_ok:
    description: Whether a name may be missing.
    type: bool
    default: false
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Choose two images of the catalogue
  ansible.builtin.set_fact:
    chosen: "{{ catalogue | virtfleet.compute.chosen_images('debian-12,debian-13') }}"
"""

RETURN = r"""
_value:
  description: The images.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError


def chosen_images(images, names, all_of=None, missing_ok=False):
    """Return the images with these names."""
    there = list(dict.fromkeys(one["name"] for one in images))
    if names == "all":
        wanted = there if all_of is None else list(all_of)
    else:
        wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not wanted and names != "all":
        raise AnsibleFilterError("say which images: -e images=debian-12,debian-13, or -e images=all")
    missing = [name for name in wanted if name not in there]
    if missing and not missing_ok:
        raise AnsibleFilterError(f"there is no image {', '.join(missing)}: there is {', '.join(there)}")
    return [one for name in wanted for one in images if one["name"] == name]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"chosen_images": chosen_images}
