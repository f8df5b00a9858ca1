#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_claims
short_description: Keeps in the registry where volumes are and who has them
description:
  - A volume with a life of its own has a row in the registry. It says on which host the volume is, unless all hosts see
    it, and which instance has it. M(virtfleet.compute.claims) attaches and detaches; this module is for volumes alone.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.registry
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  volumes:
    description: Volumes with C(name), C(id), C(project), C(backend) and C(pool), and C(host) where they are to be.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) gives each volume a row, unless it has one.
      - V(absent) removes the row; a volume that an instance has is refused, naming both.
      - V(moved) writes into the row of each that has one where it is now.
    type: str
    choices: [present, absent, moved]
    default: present
"""

EXAMPLES = r"""
- name: See where volumes are
  virtfleet.compute.volume_claims:
    volumes:
      - {name: data, id: f797aacd-a53d-59d8-bd43-caa877072205, backend: qcow2}
  check_mode: true
  delegate_to: kvm1
"""

RETURN = r"""
volumes:
  description: The volumes in the order given, each with what became of it.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: data
    changed:
      description: Whether its row was, or in check mode would be, made or removed.
      type: bool
    failed:
      description: Whether it was refused.
      type: bool
    msg:
      description: Why it was refused, or empty.
      type: str
      sample: "volume data is attached to web-1: detach it first"
    home:
      description: The host that has it, empty where all hosts see it or none has it yet.
      type: str
      sample: kvm1
    attached_to:
      description: The instance that has it, or empty.
      type: str
      sample: web-1
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import finish, unique_names
from ..module_utils._model.errors import ItemError
from ..module_utils._registry import volumes
from ..module_utils._registry.connection import writing

ARGUMENTS = {
    "volumes": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "moved"], "default": "present"},
    # A URL may carry a password.
    "registry_url": {"type": "str", "default": "sqlite:////var/lib/virtfleet/registry/registry.db", "no_log": True},
    "timeout": {"type": "int", "default": 60},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked, items = module.params, module.params["volumes"]
    problem = unique_names([{"name": f"{one.get('project') or 'default'}/{one.get('name')}"} for one in items])
    if problem:
        module.fail_json(msg=problem)
    step = {"present": volumes.keep, "absent": volumes.forget, "moved": volumes.move}[asked["state"]]
    try:
        with writing(asked["registry_url"], asked["timeout"], rehearse=module.check_mode) as connection:
            outcomes = step(connection, items)
    except ItemError as error:
        module.fail_json(msg=str(error))
    finish(module, "volumes", items, outcomes)


if __name__ == "__main__":
    main()
