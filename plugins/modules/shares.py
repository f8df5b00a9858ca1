#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: shares
short_description: Takes out of a run what a host has to do, and notes that it was done
description:
  - Takes the records that the controller left in the C(virtfleet_run) of C(localhost).
  - The stages that follow on the host find those of the host in C(virtfleet_here), where this task is to register them.
extends_documentation_fragment:
  - virtfleet.compute.controller
attributes:
  check_mode:
    details:
      - It never changes anything.
options:
  ended:
    description:
      - Whether the host came to the end of its stages, which is noted in C(virtfleet_here). A host without the note was
        lost on the way.
    type: bool
    default: false
  instances:
    description: Instance records of the whole run, in place of those that the controller left. Not with O(ended).
    type: list
    elements: dict
seealso:
  - plugin: virtfleet.compute.of_host
    plugin_type: filter
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Take the instances of this host
  virtfleet.compute.shares:
  register: virtfleet_here
"""

RETURN = r"""
ended:
  description: Always true.
  returned: O(ended)
  type: bool
instances:
  description:
    - The records of the host that have something left to do and have not failed, in the order of the run.
    - With O(ended) those of C(virtfleet_here).
  returned: success
  type: list
  elements: dict
  sample: [{name: web-1, todo: create, host: kvm1}]
"""
