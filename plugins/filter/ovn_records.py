# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances that OVN is told of."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ovn_records
short_description: The instances that OVN is to be told of
description:
  - Those of a run whose logical ports are to be made, or to be taken away.
positional: state, waiting
options:
  _input:
    description: The records of the run.
    type: list
    elements: dict
    required: true
  state:
    description: V(present) for those to be made or changed, V(absent) for what is gone, or new, failed and undone.
    type: str
    required: true
  waiting:
    description: Whether those are among them that wait for an address which another instance gives up, as in a plan.
    type: bool
    default: false
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ virtfleet_run.instances | virtfleet.compute.ovn_records('present') }}"
"""

RETURN = r"""
_value:
  description: The records.
  type: list
"""

from ..plugin_utils._stage import to_make


def ovn_records(records, state, waiting=False):
    """Return the records; the ports of a guest that may still run on a host that was lost stay."""
    if state == "absent":
        return [one for one in records if gone(one)]
    ours = [one for one in records if any(port.get("type") == "ovn" for port in one.get("ports") or ())]
    ours = [one for one in ours if waiting or not one.get("waits")]
    return [one for one in ours if to_make(one) and one.get("state") != "absent" and one.get("host")]


def gone(record):
    """Say whether nothing is left of an instance on its host: it was deleted, or it is new, failed and was undone."""
    if record.get("state") == "absent":
        return not record.get("failed") and record.get("undone") is not False
    return bool(record.get("failed")) and not record.get("existing") and record.get("undone") is True


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"ovn_records": ovn_records}
