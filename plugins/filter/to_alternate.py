# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another try on another host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_alternate
short_description: Failed instances, moved on to their next alternate host
description:
  - An instance that failed by fault of its host and has an alternate left gets that host and is no longer failed.
  - It must have been undone on the host it failed on.
  - All others stay as they are; as in Nova a fault of the request is not tried again.
options:
  _input:
    description: Instance records of the whole run.
    type: list
    elements: dict
    required: true
  max_attempts:
    description: With how many hosts an instance is tried in all.
    type: int
    default: 3
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Try the failed ones on other hosts
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.to_alternate(max_attempts=3) }}"
"""

RETURN = r"""
_value:
  description: The records, same length and order, with C(attempts) and C(tried), the hosts and what went wrong there.
  type: list
  elements: dict
"""

FORGOTTEN = {"msg", "fault", "config_drive_path", "power_state", "domain_id", "vnc", "created_at"}


def to_alternate(records, max_attempts=3):
    """Return the records, the ones that may be tried again on their next host."""
    return [moved(one) if may_move(one, max_attempts) else one for one in records]


def may_move(record, max_attempts):
    """Tell whether another host may succeed and one is left."""
    is_fault_of_host = record.get("failed") and record.get("fault", "host") == "host"
    return bool(is_fault_of_host and record.get("alternates") and record.get("attempts", 1) < max_attempts)


def moved(record):
    """Return the record on its next host, without what the last one had told about it."""
    host, *alternates = record["alternates"]
    return {
        **{key: value for key, value in record.items() if key not in FORGOTTEN},
        "host": host,
        "alternates": alternates,
        "attempts": record.get("attempts", 1) + 1,
        "tried": [*record.get("tried", []), {"host": record.get("host"), "msg": record.get("msg", "")}],
        "failed": False,
    }


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"to_alternate": to_alternate}
