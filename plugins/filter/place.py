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
  - One for which there is no host is failed, by fault of the request, with what hosts had refused it for and with the
    scheduler's reason.
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
      - What the lookup P(virtfleet.compute.placement#lookup) returned; each of its C(requests) has C(instances)
        with C(uuid), C(host) and C(alternates).
    type: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
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


try:
    from ..plugin_utils._scheduler.text import chain, message
except ImportError:
    chain = message = None


def place(records, decision):
    """Return the records with their hosts."""
    chosen = {
        instance["uuid"]: (instance, request)
        for request in decision.get("requests") or []
        for instance in request["instances"]
    }
    return [placed(one, decision, *chosen[one["uuid"]]) if one["uuid"] in chosen else one for one in records]


def placed(record, decision, choice, request):
    """Return one record with its host, or failed if there is none; what is placed or failed already stays."""
    if record.get("host") or record.get("failed") or record["state"] == "absent":
        return record
    reason = why(decision, request, choice)
    if choice.get("host"):
        return {**record, "host": choice["host"], "alternates": choice.get("alternates") or [], "reason": reason}
    said = "; ".join(dict.fromkeys((record.get("refusals") or {}).values()))
    told = nowhere_else(said, reason) if said else reason
    return {**record, "failed": True, "fault": "request", "msg": told, "reason": reason}


def nowhere_else(said, reason):
    """Return why a host failed an instance and why no other takes it, in one sentence."""
    return f"{said}; no other host takes it: {reason.removeprefix('no host: ')}"


def why(decision, request, choice):
    """Return the reason of the choice; an instance without a host may share that of the one before it."""
    if choice.get("reason"):
        return choice["reason"]
    told = request["instances"][choice["same_as"]] if "same_as" in choice else choice
    if message is None or "left" not in told:
        return "" if choice.get("host") else "no host passes all filters"
    if choice.get("host"):
        return chain(decision, request, told)
    return "no host: " + message(decision, request, told).partition(": ")[2]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"place": place}
