#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: outcomes
short_description: Takes over what the hosts did to the instances of a run
description:
  - Takes the records of the run from C(virtfleet_run), and what each host did from its C(virtfleet_here).
  - Instances on a host that did not come to the end are failed, by fault of the host.
  - With O(max_attempts) a new instance that its host failed gets something to do again, on another host.
extends_documentation_fragment:
  - virtfleet.compute.controller
attributes:
  check_mode:
    details:
      - It never changes anything.
options:
  hosts:
    description: The hosts that had something to do. Without them those of the records that had.
    type: list
    elements: str
  max_attempts:
    description:
      - With how many hosts an instance is tried in all; the rules are those of
        P(virtfleet.compute.to_alternate#filter).
      - Without it nothing is tried again.
    type: int
seealso:
  - module: virtfleet.compute.claims
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Take over what the hosts did
  virtfleet.compute.outcomes:
    max_attempts: 3
  register: virtfleet_run
"""

RETURN = r"""
instances:
  description:
    - The records of the run, same length and order, with what the hosts told.
    - With O(max_attempts) those that another host may try have C(todo=create), C(tried) and C(attempts); the others
      have nothing left to do.
  returned: success
  type: list
  elements: dict
  sample: [{name: web-1, todo: none, host: kvm1, changed: true}]
run_id:
  description: What this run is called.
  returned: success
  type: str
  sample: vfr-7f3a
"""
