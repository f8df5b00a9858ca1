#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: placements
short_description: Says what is left to do for each instance, and chooses a host for each new one
description:
  - Takes the records of the run from C(virtfleet_run), where M(virtfleet.compute.requests) left them, and compares them
    with what the hosts told.
  - Asks the lookup P(virtfleet.compute.placement#lookup) once for a host for each instance that is not there yet. One
    that exists stays where it is.
  - If a host did not answer, the registry is asked what is on it; that stays there too, and is not touched.
  - If no host answers, it fails and nothing is done.
extends_documentation_fragment:
  - virtfleet.compute.controller
attributes:
  check_mode:
    details:
      - It never changes anything, but for O(record).
options:
  hosts:
    description:
      - Host records as of M(virtfleet.compute.host_info).
      - Without them they are the C(virtfleet_host_info.host) of the hosts of group C(compute).
    type: list
    elements: dict
  names:
    description:
      - The hosts that should have answered. Those of group C(compute) if it is left out.
      - If it is given, as for a cell, it is no failure that none of them answers.
    type: list
    elements: str
  policy:
    description: A name or options of the policy, as of the lookup P(virtfleet.compute.placement#lookup).
    type: dict
    default: {}
  record:
    description: A file on the controller to keep the decision in, for C(replay.yml); empty keeps none.
    type: str
    default: ''
  registry_url:
    description: The registry, as the host that the task is delegated to reaches it.
    type: str
    required: true
requirements:
  - numpy on the controller
seealso:
  - plugin: virtfleet.compute.placement
    plugin_type: lookup
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Filter and weigh
  virtfleet.compute.placements:
    registry_url: sqlite:////var/lib/virtfleet/registry/registry.db
    policy: {name: spread}
  delegate_to: kvm1
  register: virtfleet_run
"""

RETURN = r"""
decision:
  description: What the lookup returned; empty if nothing was to be placed.
  returned: success
  type: dict
  sample: {}
instances:
  description:
    - The records of the run, same length and order, each with C(todo), one of C(create), C(update), C(start), C(stop),
      C(delete), C(wait) and C(none), and with C(existing).
    - New ones with C(host), C(alternates) and C(reason), or failed with the scheduler's reason.
  returned: success
  type: list
  elements: dict
  sample: [{name: web-1, todo: create, existing: false, host: kvm1, alternates: [kvm3, kvm4]}]
run_id:
  description: What this run is called.
  returned: success
  type: str
  sample: vfr-7f3a
"""
