#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_ports
short_description: Tell OVN of networks, routers and the ports of instances
description:
  - Runs where the northbound database of OVN is. What shall be is compared with what is there, and what differs is
    changed in one transaction, all of it or nothing.
  - A network is a logical switch, with the DHCP options of its subnets; an external one has a way out to a bridge of
    the hosts. A router has a port in each of its networks, SNAT and a default route. A port is a logical switch port
    with its addresses, port security, DNS names, limits and floating address, in the port groups of its security
    groups.
  - Rows of others are never touched. Ours carry C(virtfleet) in their external_ids.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: linux
    support: full
options:
  instances:
    description:
      - The instance records. Ports of other types than V(ovn) are passed over.
    type: list
    elements: dict
    default: []
  networks:
    description:
      - The networks of type V(ovn), as the filter P(virtfleet.compute.catalogue_networks#filter) makes them.
    type: list
    elements: dict
    default: []
  routers:
    description:
      - The routers by name, each with C(networks) and, for a way out, C(external), C(external_ip) and C(gateway_hosts).
      - A router of ours that is not among them goes if all of its networks are among O(networks). Floating addresses
        of ports that are not told of go over to the router that their network is on now. Where the option is not given,
        routers stay as they are.
    type: dict
  state:
    description:
      - V(present) makes all of it. V(absent) takes the ports of the instances away, and the networks and routers if
        nothing else uses them.
    type: str
    choices: [present, absent]
    default: present
  socket:
    description: The socket of the northbound database.
    type: path
    default: /run/ovn/ovnnb_db.sock
  run_dir:
    description: Where the lock is that keeps two runs apart.
    type: path
    default: /run/virtfleet
seealso:
  - module: virtfleet.compute.ports
"""

EXAMPLES = r"""
- name: Tell OVN of what the instances need
  virtfleet.compute.ovn_ports:
    instances: "{{ instances }}"
    networks: "{{ virtfleet_networks | virtfleet.compute.catalogue_networks | selectattr('type', 'eq', 'ovn') }}"
  delegate_to: central

- name: Take the ports of an instance away
  virtfleet.compute.ovn_ports:
    instances: [{name: web-1, uuid: 0b6f1a0e-6d0c-5c60-a0f0-2f6f5b5a7d11}]
    state: absent
  delegate_to: central
"""

RETURN = r"""
instances:
  description: The instances as given, in order, each with what became of it.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the instance.
      type: str
      sample: web-1
    changed:
      description: Whether something of it was changed.
      type: bool
    failed:
      description: Whether OVN cannot be told of it.
      type: bool
    msg:
      description: Why it failed, or empty.
      type: str
      sample: "floating_ip 192.0.2.50 belongs to web-2: take another"
operations:
  description: How many operations the transaction had.
  type: int
  returned: when OVN answered
  sample: 12
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, finish, unique_names
from ..module_utils._files import locked, plainly
from ..module_utils._model.errors import ItemError
from ..module_utils._ovn import apply as ovn

OPTIONS = {
    "instances": {"type": "list", "elements": "dict", "default": []},
    "networks": {"type": "list", "elements": "dict", "default": []},
    "routers": {"type": "dict"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "socket": {"type": "path", "default": "/run/ovn/ovnnb_db.sock"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
}


def run(params, check_mode):
    """Read the database, plan, and unless in check mode change it; return the plan and the outcomes."""
    look = ovn.planned if params["state"] == "present" else ovn.planned_removal
    if check_mode:
        return look(ovn.read(params["socket"]), params)
    with plainly("the lock of OVN cannot be taken"), locked(os.path.join(params["run_dir"], "ovn.lock")):
        whole, outcomes = look(ovn.read(params["socket"]), params)
        ovn.apply(params["socket"], whole)
    return whole, outcomes


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params, instances = module.params, module.params["instances"]
    wrong = unique_names([{"name": one.get("uuid") or one.get("name")} for one in instances])
    if wrong:
        module.fail_json(msg=wrong)
    try:
        whole, outcomes = run(params, module.check_mode)
    except ItemError as error:
        if not instances:
            module.fail_json(msg=str(error))
        outcomes = [Outcome(one["name"], error=str(error), fault=error.fault) for one in instances]
        finish(module, "instances", instances, outcomes)
    diff = [{"before": whole.before, "after": whole.after}] if whole.operations else []
    more = {"changed": bool(whole.operations), "diff": diff, "operations": len(whole.operations)}
    finish(module, "instances", instances, outcomes, **more)


if __name__ == "__main__":
    main()
