# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a rebuild would lose instances."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unanswered
short_description: Why the registry cannot be made again of these hosts alone
description:
  - Names the hosts that did not answer, for what is on them would have no claim and could be started a second time.
positional: names, without
options:
  _input:
    description: Host records of this run.
    type: list
    elements: dict
    required: true
  names:
    description: The names of all hosts of the fleet.
    type: list
    elements: str
    required: true
  without:
    description: Hosts that are lost for good.
    type: list
    elements: str
    default: []
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Refuse to leave hosts out
  ansible.builtin.assert:
    that: why == ''
    fail_msg: "{{ why }}"
  vars:
    why: "{{ hosts | virtfleet.compute.unanswered(groups['compute'], ['kvm3']) }}"
"""

RETURN = r"""
_value:
  description: One sentence, or nothing if all have answered.
  type: str
"""

WAY_OUT = 'bring them back, or name those that are lost for good: -e \'{{"rebuild_without": ["{first}"]}}\''


def unanswered(hosts, names, without=()):
    """Return which hosts did not answer and may not be left out, with the way out, or nothing."""
    reasons = {one["name"]: one.get("disabled_reason") or "it is down" for one in hosts if not one.get("up", True)}
    known = {one["name"] for one in hosts}
    reasons.update({name: "nothing was read on it" for name in names if name not in known})
    missing = sorted(set(reasons) - set(without))
    if not names:
        return "the inventory has no host in its group compute, so there is nothing to make the registry of"
    if not missing:
        return ""
    told = "; ".join(f"{name}: {reasons[name]}" for name in missing)
    way_out = WAY_OUT.format(first=missing[0])
    return f"{len(missing)} of {len(names)} hosts did not answer, so nothing was changed ({told}): {way_out}"


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"unanswered": unanswered}
