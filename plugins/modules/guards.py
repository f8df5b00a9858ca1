#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep other runs away from instances while what is left of them is swept."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guards
short_description: Keep other runs away from instances while what is left of them is swept
description:
  - Claims the UUIDs of instances for nothing, so that no run boots them meanwhile, and releases them again.
  - An expired claim that was never settled is taken over, and released with O(state=absent).
  - An instance that the registry has on its host is refused.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.registry
attributes:
  check_mode:
    support: full
    details: The transaction is rolled back; a registry that is not there is not made.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  guards:
    description: Instances, each with C(name), C(uuid) and C(host), where what is to be swept is.
    type: list
    elements: dict
    required: true
  state:
    description: V(present) guards them; V(absent) releases those that O(run) guards.
    type: str
    choices: [present, absent]
    default: present
  run:
    description: What this run is called.
    type: str
    required: true
  lease:
    description: Seconds for which a guard keeps others away if this run dies.
    type: int
    default: 900
  takeover:
    description: Runs that are known to be dead, whose claims may be taken over at once; V(all) for any run.
    type: list
    elements: str
    default: []
  who:
    description: On whose behalf, for the log of actions.
    type: str
    default: ''
  why:
    description: For what reason, for the log of actions.
    type: str
    default: ''
seealso:
  - module: virtfleet.compute.traces
"""

EXAMPLES = r"""
- name: Keep other runs away
  virtfleet.compute.guards:
    guards: [{name: web-1, uuid: 2c0fb7a4-6b3e-5d7c-9d8b-3f7b9a0c7d11, host: kvm1}]
    run: "{{ run_id }}"
  delegate_to: kvm1

- name: Let them go
  virtfleet.compute.guards:
    guards: [{name: web-1, uuid: 2c0fb7a4-6b3e-5d7c-9d8b-3f7b9a0c7d11, host: kvm1}]
    state: absent
    run: "{{ run_id }}"
  delegate_to: kvm1
"""

RETURN = r"""
guards:
  description: The instances as given, in the same order.
  returned: when the registry could be used
  type: list
  elements: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: web-1
    changed:
      description: Whether the registry was changed for it.
      type: bool
      sample: true
    failed:
      description: Whether nothing of it may be removed.
      type: bool
      sample: false
    msg:
      description: Why.
      type: str
      sample: ''
    guarded:
      description: Whether other runs are kept away; not needed where the instance lives on another host.
      type: bool
      returned: with O(state=present)
      sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import finish
from ..module_utils._model.errors import ItemError
from ..module_utils._registry.connection import writing
from ..module_utils._registry.guards import guard, release
from ..module_utils._registry.ledger import Terms

ARGUMENTS = {
    "guards": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "run": {"type": "str", "required": True},
    "lease": {"type": "int", "default": 900},
    "takeover": {"type": "list", "elements": "str", "default": []},
    "who": {"type": "str", "default": ""},
    "why": {"type": "str", "default": ""},
    # A URL may carry a password.
    "registry_url": {"type": "str", "default": "sqlite:////var/lib/virtfleet/registry/registry.db", "no_log": True},
    "timeout": {"type": "int", "default": 60},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    terms = Terms(asked["run"], asked["lease"], {}, frozenset(asked["takeover"]), asked["who"], asked["why"])
    step = {"present": guard, "absent": release}[asked["state"]]
    try:
        with writing(asked["registry_url"], asked["timeout"], rehearse=module.check_mode) as connection:
            outcomes = step(connection, asked["guards"], terms)
    except ItemError as error:
        module.fail_json(msg=str(error))
    finish(module, "guards", asked["guards"], outcomes)


if __name__ == "__main__":
    main()
