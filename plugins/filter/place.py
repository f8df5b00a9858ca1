# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler's decision, written into the records."""

from __future__ import annotations

DOCUMENTATION = r"""
name: place
short_description: Instance records with the host the scheduler chose
description:
  - Each record that the decision speaks of gets C(host), C(alternates) and C(reason).
  - One for which there is no host is failed, by fault of the request, with the scheduler's reason.
  - Records the decision does not speak of stay as they are.
positional: decision
options:
  _input:
    description: Instance records of the whole run.
    type: list
    elements: dict
    required: true
  decision:
    description:
      - What the lookup P(virtfleet.compute.placement#lookup) returned; C(instances) has for each instance
        its C(uuid) or C(name), C(host), C(alternates) and C(reason).
    type: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Take over the scheduler's decision
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.place(decision) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""


def place(records, decision):
    """Return the records with their hosts."""
    chosen = {one.get("uuid") or one["name"]: one for one in decision.get("instances") or []}
    return [placed(one, chosen.get(one["uuid"], chosen.get(one["name"]))) for one in records]


def placed(record, choice):
    """Return one record with its host, or failed if there is none; what is placed or failed already stays."""
    if choice is None or record.get("host") or record.get("failed") or record["state"] == "absent":
        return record
    reason = choice.get("reason") or choice.get("message") or ""
    if choice.get("host"):
        return {**record, "host": choice["host"], "alternates": choice.get("alternates") or [], "reason": reason}
    return {**record, "failed": True, "fault": "request", "msg": reason or "no host is left for it", "reason": reason}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"place": place}
