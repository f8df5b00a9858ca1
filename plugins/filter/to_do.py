# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to do for each instance."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_do
short_description: Instance records with what is left to do for each
description:
  - Compares each record with what the hosts told about the instance, and adds C(existing), whether it was there before
    this run, and C(todo), one of C(create), C(update), C(start), C(stop), C(delete), C(wait) and C(none).
  - C(wait) is for an instance whose host did not answer; one of them that is to be made, changed or deleted fails.
  - An instance that exists is never undone when something fails, so C(existing) is what guards its disks.
  - One whose ports are damaged is updated, though it is as specified, for that plugs them again.
  - One that is to be absent and of which a killed run left files or ports is deleted where these are.
positional: existing, leftovers
options:
  _input:
    description: Instance records of the whole run.
    type: list
    elements: dict
    required: true
  existing:
    description: What M(virtfleet.compute.host_info) told about the instances of all hosts.
    type: list
    elements: dict
    required: true
  leftovers:
    description: By uuid the host that has files or ports of an instance without a domain.
    type: dict
    default: {}
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: See what is left to do
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.to_do(existing) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order.
  type: list
  elements: dict
"""

from ..module_utils._model.host import POWER_OF_STATE

SILENT = "host {host} did not answer, so it stays as it is: run again when the host does"


def to_do(records, existing, leftovers=None):
    """Return the records with what is left to do for each."""
    there = {one["uuid"]: one for one in existing}
    return [with_task(one, there.get(one["uuid"]), (leftovers or {}).get(one["uuid"])) for one in records]


def with_task(record, found, leftover):
    """Return one record with its task."""
    ours = bool(found) and bool(found.get("ours"))
    if ours and found.get("state") == "unknown" and not record.get("failed"):
        return waiting(record, found)
    if record["state"] == "absent" and leftover and not found and not record.get("failed"):
        return {"failed": False, **record, "host": leftover, "existing": False, "todo": "delete"}
    todo = "none" if record.get("failed") else task(record, found if ours else None)
    return {"failed": False, **record, "existing": ours, "todo": todo}


def waiting(record, found):
    """Return the record of an instance whose host did not answer: it fails unless it was there and shall stay so."""
    stays = record["state"] != "absent" and found["settled"] and found["spec_digest"] == record["spec_digest"]
    failure = {"failed": not stays}
    if not stays:
        failure.update(fault="host", msg=SILENT.format(host=found["host"]))
    return {**record, **failure, "existing": True, "todo": "wait", "host": found["host"], "power_state": "unknown"}


def task(record, found):
    """Return the one word for what is left to do."""
    if record["state"] == "absent":
        return "delete" if found else "none"
    if not found:
        return "create"
    if found.get("spec_digest") != record["spec_digest"] or found.get("damaged"):
        return "update"
    if found.get("state") == POWER_OF_STATE[record["state"]]:
        return "none"
    return "start" if record["state"] == "active" else "stop"


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"to_do": to_do}
