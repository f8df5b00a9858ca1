# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failures
short_description: The failed instances and why, one sentence each
description:
  - Of the instance records those that have failed, each with its name, its host and the reason, and the hosts it was
    tried with before.
options:
  _input:
    description: Instance records of the whole run.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Fail if any instance failed
  ansible.builtin.fail:
    msg: "{{ instances | virtfleet.compute.failures | join('\n') }}"
  when: instances | virtfleet.compute.failures | length > 0
"""

RETURN = r"""
_value:
  description: One sentence for each failed instance, in the order of the run.
  type: list
  elements: str
"""


def failures(records):
    """Return the sentences; an instance on a host is told with it."""
    return [sentence(one) for one in records if one.get("failed")]


def sentence(record):
    """Return why one instance failed, on its last host and on those it was tried with before."""
    where = f" on {record['host']}" if record.get("host") else ""
    before = [f"; before that on {one['host']}: {one['msg']}" for one in record.get("tried") or ()]
    return f"{record['name']}{where}: {record.get('msg') or 'no reason was given'}{''.join(before)}"


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"failures": failures}
