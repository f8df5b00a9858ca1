# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not fit together."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit
short_description: All that does not fit together in a fleet
description:
  - Compares what runs on the hosts with what the registry has and with what lies on the hosts.
  - What a run is building at the moment is left out.
options:
  _input:
    description: Host records as of M(virtfleet.compute.host_info), also of hosts that are not up.
    type: list
    elements: dict
    required: true
  registry:
    description: The C(instances) that M(virtfleet.compute.registry_info) returned.
    type: list
    elements: dict
    required: true
  traces:
    description: By host what M(virtfleet.compute.traces_info) returned.
    type: dict
    required: true
  history:
    description: The C(history) that M(virtfleet.compute.registry_info) returned.
    type: dict
    default: {}
  keep:
    description: By kind of trace the names that the inventory wants though nothing uses them now.
    type: dict
    default: {}
  grace:
    description: How many seconds ago something must have been touched last for a sweep to take it.
    type: int
    default: 3600
  volumes:
    description: The ids of the volumes that the registry or the catalogue knows.
    type: list
    elements: str
    default: []
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Fail if something does not fit
  ansible.builtin.fail:
    msg: "{{ found | map(attribute='evidence') | join('; ') }}"
  vars:
    found: "{{ hosts | virtfleet.compute.audit(registry=registry.instances, traces=traces, history=registry.history) }}"
  when: found | length > 0
"""

RETURN = r"""
_value:
  description: The findings.
  type: list
  elements: dict
  contains:
    what:
      description:
        - V(host) and V(unread) for what could not be looked at, V(double), V(domain) and V(claim) for what does not fit
          between hosts and registry.
        - Else the kind of M(virtfleet.compute.traces_info).
      type: str
    name:
      description: What it is called.
      type: str
    host:
      description: The host it is on.
      type: str
    evidence:
      description: What was seen, in one sentence.
      type: str
    remedy:
      description: Exactly what to do about it.
      type: str
    age:
      description: Seconds since its last sign of life; null where nobody knows.
      type: int
    gc:
      description: Whether a sweep takes it away.
      type: bool
    owner:
      description: UUID of the instance it is left of, or empty.
      type: str
"""

from ..plugin_utils._audit import audit


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"audit": audit}
