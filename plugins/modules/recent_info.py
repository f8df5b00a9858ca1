#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether hosts that were seen a moment ago need be asked again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recent_info
short_description: Tells whether hosts that were seen a moment ago need be asked again
description:
  - They need not where the registry says that nothing is left to do. Each of O(instances) is settled as it is asked
    for, and its domain was seen so on its host, or was made so by a run since.
  - Anything else is a reason to ask all hosts. What is only remembered is never a reason to do something.
  - What nobody told the registry is not seen before the hosts are asked again, such as a guest that died.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.registry
attributes:
  action:
    description: Whether a part of it runs on the controller.
    support: full
    details: The controller keeps the records, and sends what of them is compared.
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
options:
  instances:
    description:
      - Instance records as of M(virtfleet.compute.requests). Read are C(uuid), C(name), C(state) and C(spec_digest).
      - Without it the task is a stage, which takes them from the variable C(virtfleet_run) and is to be registered
        there.
    type: list
    elements: dict
  hosts:
    description: The names of all hosts of the run, or of the cell, or of the cells.
    type: list
    elements: str
    required: true
  cells:
    description:
      - Whether O(hosts) are cells and the registry is the top one. What domains there are is not compared, for only the
        registries of the cells know it. The stage hands on in which cell each instance is.
    type: bool
    default: false
  cell:
    description:
      - The cell whose registry is asked, after the top one. The instances of the other cells must not be there.
        The task is a stage that hands on nothing.
    type: str
  max_age:
    description: How many seconds ago each host may have been seen.
    type: int
    required: true
seealso:
  - module: virtfleet.compute.host_info
"""

EXAMPLES = r"""
- name: See whether the hosts need be asked
  virtfleet.compute.recent_info:
    instances: "{{ records }}"
    hosts: "{{ groups['compute'] }}"
    max_age: 60
  delegate_to: kvm1
  register: result

- name: Say why
  ansible.builtin.debug:
    msg: "{{ result.reason or 'nothing is left to do' }}"
"""

RETURN = r"""
recent:
  description: Whether no host need be asked.
  returned: always
  type: bool
  sample: true
reason:
  description: The first reason to ask the hosts; empty if there is none.
  returned: always
  type: str
  sample: kvm3 was last seen 120 s ago
age:
  description: How many seconds ago the host that was seen first was seen; 0 if hosts are to be asked.
  returned: always
  type: int
  sample: 12
cells:
  description: By UUID the cell of each instance.
  returned: with O(cells), if RV(recent)
  type: dict
  sample: {8a30b6f6-6e5c-5a3e-9b0d-5b4ce1c1a5f0: east}
instances:
  description:
    - The instances as given. If no host need be asked, those that are there have their host, age and addresses. With
      O(cells) they stay as they are. With O(cell) they are those of the cell, as its registry has them.
  returned: always
  type: list
  elements: dict
  contains:
    uuid:
      description: UUID of the instance.
      type: str
    host:
      description: The host it is on.
      returned: if RV(recent)
      type: str
      sample: kvm1
    todo:
      description: Always V(none).
      returned: if RV(recent)
      type: str
      sample: none
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._model.errors import ItemError
from ..module_utils._registry.connection import reading
from ..module_utils._registry.recent import recent

ARGUMENTS = {
    "instances": {"type": "list", "elements": "dict"},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "max_age": {"type": "int", "required": True},
    "cells": {"type": "bool", "default": False},
    "cell": {"type": "str"},
    # A URL may carry a password.
    "registry_url": {"type": "str", "default": "sqlite:////var/lib/virtfleet/registry/registry.db", "no_log": True},
    "timeout": {"type": "int", "default": 60},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    try:
        with reading(asked["registry_url"], asked["timeout"]) as connection:
            found = recent(connection, asked["instances"] or [], asked["hosts"], asked["max_age"], asked["cells"])
    except ItemError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, recent=not found.reason, **asdict(found))


if __name__ == "__main__":
    main()
