# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not fit together."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit
short_description: All that does not fit together in a fleet
description:
  - Compares what runs on the hosts with what the registry has and with the files, taps and rules that lie on the hosts.
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
  ports:
    description: By host what M(virtfleet.compute.ports_info) returned.
    type: dict
    required: true
  folders:
    description: By host the names of the folders of instances.
    type: dict
    required: true
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Fail if something does not fit
  ansible.builtin.fail:
    msg: "{{ found | map(attribute='evidence') | join('; ') }}"
  vars:
    found: "{{ hosts | virtfleet.compute.audit(registry=registry.instances, ports=ports, folders=folders) }}"
  when: found | length > 0
"""

RETURN = r"""
_value:
  description: The findings.
  type: list
  elements: dict
  contains:
    what:
      description: One of C(host), C(double), C(domain), C(claim), C(folder), C(port), C(tap) and C(rules).
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
      description: What to do about it.
      type: str
"""

from ..plugin_utils._audit import audit


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"audit": audit}
