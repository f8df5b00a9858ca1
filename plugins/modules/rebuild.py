#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the registry again from what the hosts have."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rebuild
short_description: Make the registry again from what the hosts have
description:
  - Gives each instance that a domain remembers its claim on the host of that domain, with its name, ports, addresses
    and membership in a server group, in one transaction. Quotas and promises follow from the claims.
  - What runs is not judged, so that no cap keeps a guest that exists from its claim.
  - What two guests cannot both have is claimed once, and the other fails with its evidence.
  - A registry that has instances is refused, unless O(merge=true). Nothing is ever released.
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
  instances:
    description:
      - A dict for each domain of ours, as M(virtfleet.compute.host_info) tells it, with C(record), C(state) and
        C(host), where it is.
    type: list
    elements: dict
    required: true
  hosts:
    description: The records of the hosts that answered; they are remembered.
    type: list
    elements: dict
    default: []
  merge:
    description:
      - Whether a registry that has instances already may be added to. Claims that are there stay as they are; an active
        one on a host of O(hosts) that has no such domain follows its domain.
    type: bool
    default: false
  run:
    description: What this run is called, for the log of actions.
    type: str
    required: true
  who:
    description: On whose behalf, for the log of actions.
    type: str
    default: ''
  why:
    description: For what reason, for the log of actions.
    type: str
    default: ''
seealso:
  - module: virtfleet.compute.claims
  - module: virtfleet.compute.registry_info
"""

EXAMPLES = r"""
- name: Make the registry again
  virtfleet.compute.rebuild:
    instances: "{{ found }}"
    hosts: "{{ gathered }}"
    run: "{{ run_id }}"
  delegate_to: kvm1

- name: Add what a registry lacks
  virtfleet.compute.rebuild:
    instances: "{{ found }}"
    hosts: "{{ gathered }}"
    merge: true
    run: "{{ run_id }}"
  delegate_to: kvm1
"""

RETURN = r"""
instances:
  description: The instances as given, in the same order, with what became of them.
  returned: when the registry could be used and was empty or might be added to
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: web-1
    changed:
      description: Whether it got a claim, or its claim followed it.
      type: bool
      sample: true
    failed:
      description: Whether something about it could not be decided.
      type: bool
      sample: false
    msg:
      description: What could not be decided, and the way out.
      type: str
      sample: ''
    host:
      description: The host of its claim.
      type: str
      sample: kvm1
    claim_state:
      description: V(active), or what it was before with O(merge=true).
      type: str
      sample: active
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import finish
from ..module_utils._model.errors import ItemError
from ..module_utils._registry.connection import writing
from ..module_utils._registry.ledger import Terms
from ..module_utils._registry.rebuild import rebuild

ARGUMENTS = {
    "instances": {"type": "list", "elements": "dict", "required": True},
    "hosts": {"type": "list", "elements": "dict", "default": []},
    "merge": {"type": "bool", "default": False},
    "run": {"type": "str", "required": True},
    "who": {"type": "str", "default": ""},
    "why": {"type": "str", "default": ""},
    # A URL may carry a password.
    "registry_url": {"type": "str", "default": "sqlite:////var/lib/virtfleet/registry/registry.db", "no_log": True},
    "timeout": {"type": "int", "default": 60},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    terms = Terms(run=asked["run"], who=asked["who"], why=asked["why"])
    try:
        with writing(asked["registry_url"], asked["timeout"], rehearse=module.check_mode) as connection:
            outcomes = rebuild(connection, asked["instances"], asked["hosts"], terms, asked["merge"])
    except ItemError as error:
        module.fail_json(msg=str(error))
    finish(module, "instances", asked["instances"], outcomes)


if __name__ == "__main__":
    main()
