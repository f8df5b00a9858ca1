# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: explain
short_description: Print a decision record for people
version_added: 0.1.0
author:
  - The virtfleet.compute authors (@virtfleet)
description:
  - Turns a decision record of P(virtfleet.compute.placement#lookup) into lines.
  - An instance that has a host takes one line. One that has none is told with the hosts that each step left, the
    nearest misses, and what would make it fit.
options:
  _input:
    description: The decision record.
    type: dict
    required: true
seealso:
  - plugin: virtfleet.compute.placement
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Say what was decided
  ansible.builtin.debug:
    msg: "{{ decision | virtfleet.compute.explain }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - "web-1  m1.large (4 vCPU, 8 GiB, 40 GiB)  group web: anti-affinity  -> kvm12  (then kvm07, kvm03)"
"""

from ansible.errors import AnsibleFilterError


def explain(record):
    """Return the lines of a decision record."""
    from ..plugin_utils._scheduler.text import lines

    if not hasattr(record, "keys") or not {"version", "hosts", "requests"} <= set(record):
        raise AnsibleFilterError(
            "explain needs a decision record, the answer of the lookup virtfleet.compute.placement"
        )
    return lines(record)


class FilterModule:
    """What Jinja learns from this file."""

    def filters(self):
        return {"explain": explain}
