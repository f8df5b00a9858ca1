# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the results of all hosts back to the list of the run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: merge_results
short_description: The instances of the run with what a stage did on every host
description:
  - Each record is replaced by the one with its uuid in the results, if there is one; length and order stay.
  - Instances on a host that was lost in the middle of the stage are failed, by fault of the host.
  - Once changed stays changed, whichever stage it was.
positional: results
options:
  _input:
    description: Instance records of the whole run.
    type: list
    elements: dict
    required: true
  results:
    description:
      - What the hosts returned, each a mapping with C(instances) or a list of records.
      - What is neither, such as the result of a skipped task, is passed over.
    type: list
    elements: raw
    required: true
  lost:
    description: Hosts that did not answer, or ended the stage without a result.
    type: list
    elements: str
    default: []
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Take over what the hosts did
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.merge_results(results, lost=['kvm3']) }}"
  vars:
    results: "{{ ansible_play_hosts | map('extract', hostvars, '__volumes_result') | list }}"
"""

RETURN = r"""
_value:
  description: The records of the run, same length and order.
  type: list
  elements: dict
"""

LOST = "host {host} was lost in the middle of it: look at its own error above, then run again"


def merge_results(records, results, lost=()):
    """Return the records of the run with what the stage did to each."""
    told = {one["uuid"]: one for result in results for one in instances_of(result)}
    return [merged(one, told.get(one["uuid"]), one.get("host") in lost) for one in records]


def instances_of(result):
    """Return the records in what one host returned."""
    if isinstance(result, dict):
        result = result.get("instances") or []
    return result if isinstance(result, (list, tuple)) else []


def merged(record, told, is_lost):
    """Return one record after the stage."""
    if told is not None:
        record = {**record, **told, "changed": bool(record.get("changed") or told.get("changed"))}
    if not is_lost or record.get("undone") or (record.get("failed") and told is None):
        return record
    # Nobody knows what is there: the claim must stay.
    failure = {"failed": True, "fault": record.get("fault") or "host", "undone": False, "lost": True}
    return {**record, **failure, "msg": record.get("msg") or LOST.format(host=record["host"])}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"merge_results": merge_results}
