# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the registry refused, to be placed again."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unplaced
short_description: Instance records, those that their host refused without it
description:
  - A new instance for which its host had no room when it was claimed is no longer failed and has no host, so that the
    scheduler can choose again on the numbers of now.
  - A host that refuses an instance twice for the same reason is not asked again; numbers had nothing to do with it.
  - All others stay as they are, also what was refused by fault of the request.
options:
  _input:
    description: Instance records of the whole run, after M(virtfleet.compute.claims).
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Take the host from what it refused
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.unplaced }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order, with C(refusals), why each host refused the instance last.
  type: list
  elements: dict
"""

FORGOTTEN = {"host", "alternates", "reason", "msg", "fault"}


def unplaced(records):
    """Return the records, those that their host refused without it."""
    return [without_host(one) if is_refused(one) else one for one in records]


def is_refused(record):
    """Tell whether a new instance was not claimed by fault of its host."""
    is_new = record.get("todo") == "create" and not record.get("existing")
    return bool(is_new and record.get("failed") and record.get("fault") == "host" and record.get("host"))


def without_host(record):
    """Return the record as it was before it was placed, and what its host had against it."""
    host, refusals = record["host"], record.get("refusals") or {}
    scheduling = dict(record["scheduling"])
    if refusals.get(host) == record["msg"]:
        scheduling["ignore_hosts"] = sorted({*(scheduling.get("ignore_hosts") or ()), host})
    left = {key: value for key, value in record.items() if key not in FORGOTTEN}
    return {**left, "failed": False, "scheduling": scheduling, "refusals": {**refusals, host: record["msg"]}}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"unplaced": unplaced}
