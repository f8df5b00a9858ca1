# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed, by host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failures_by_host
short_description: One sentence for each thing that failed on a host
description:
  - For reports of playbooks whose modules take the same list on every host.
options:
  _input:
    description: A mapping from the name of each host to the list that its module returned.
    type: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show what failed
  ansible.builtin.debug:
    msg: "{{ {'kvm1': result.networks} | virtfleet.compute.failures_by_host }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""


def failures_by_host(told):
    """Return the sentences, by host."""
    return [f"{host}: {one['msg']}" for host, many in sorted(told.items()) for one in many or () if one.get("failed")]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"failures_by_host": failures_by_host}
