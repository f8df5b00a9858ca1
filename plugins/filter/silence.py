# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anybody answered."""

from __future__ import annotations

DOCUMENTATION = r"""
name: silence
short_description: Why no host of a fleet answers, in one sentence
description:
  - Empty if a host answers, so that work can begin.
options:
  _input:
    description: The records of all compute hosts.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Refuse to go on where no host answers
  ansible.builtin.assert:
    that: hosts | virtfleet.compute.silence == ''
    fail_msg: "{{ hosts | virtfleet.compute.silence }}"
"""

RETURN = r"""
_value:
  description: The sentence, or nothing.
  type: str
"""


def silence(hosts):
    """Return why no host answers, or nothing if one does."""
    if any(one.get("up") for one in hosts):
        return ""
    if not hosts:
        return "no host of the inventory's group compute answered, so nothing was done: add one, or see its error above"
    reasons = "; ".join(f"{one['name']}: {one.get('disabled_reason') or 'it is down'}" for one in hosts)
    return f"no compute host answers, so nothing was done: {reasons}"


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"silence": silence}
