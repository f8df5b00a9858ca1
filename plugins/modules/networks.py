#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: networks
short_description: Make networks on a host ahead of their ports, or delete them
description:
  - Makes what stands below the taps of a network, such as its bridge with the gateway's address or the link to the
    other hosts, before any instance needs it. Such a network stays when its last port goes.
  - A network of type V(bridge) has nothing of ours below its taps. That its bridge is there and can carry it is
    checked.
  - A network is deleted only while no port of this host is on it, whoever made it. Links of others are never touched.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.directories
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: linux
    support: full
options:
  networks:
    description:
      - The networks, each with C(name), C(type), C(bridge), C(mtu), C(subnets) and, where its type needs it, more, as
        the filter P(virtfleet.compute.catalogue_networks#filter) makes them.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) makes them and keeps them, V(absent) deletes them.
    type: str
    choices: [present, absent]
    default: present
  host_ip:
    description: The address that other hosts reach this one at; networks of type V(vxlan) are carried from it.
    type: str
    default: ""
  timeout:
    description:
      - Seconds after which a network that is not as wanted is given up and undone.
    type: float
    default: 10
seealso:
  - module: virtfleet.compute.ports
"""

EXAMPLES = r"""
- name: Make a network
  virtfleet.compute.networks:
    networks:
      - name: lan
        type: nat
        bridge: vf-lan
        mtu: 1500
        subnets: [{cidr: 10.20.0.0/24, gateway: 10.20.0.1}]

- name: Delete it
  virtfleet.compute.networks:
    networks: [{name: lan, type: nat, bridge: vf-lan}]
    state: absent
"""

RETURN = r"""
networks:
  description: The networks as given, in order, each with what became of it.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the network.
      type: str
      sample: lan
    changed:
      description: Whether something was made or deleted.
      type: bool
    failed:
      description: Whether it could not be made or deleted.
      type: bool
    msg:
      description: Why it failed, or empty.
      type: str
      sample: "network 'lan' is used by web-1 on this host: delete them first"
    stands:
      description: Whether it stands on this host.
      type: bool
      returned: when it did not fail
    users:
      description: The instances of this host that have a port on it.
      type: list
      elements: str
      returned: when it did not fail
      sample: [web-1]
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, each, finish, unique_names
from ..module_utils._model.errors import ItemError
from ..module_utils._network import kept, saved
from ..module_utils._network.host import Host, read

OPTIONS = {
    "networks": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "host_ip": {"type": "str", "default": ""},
    "timeout": {"type": "float", "default": 10},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
}


def run(host, params, check_mode):
    """Read the host once, then take each network."""
    world, host_ip, present = read(host), params["host_ip"], params["state"] == "present"
    if check_mode:
        look = kept.plan if present else kept.plan_removal
        return each(params["networks"], lambda one: look(world, one, host_ip))
    change = kept.provide if present else kept.withdraw
    return each(params["networks"], lambda one: change(host, world, one, host_ip))


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params, networks = module.params, module.params["networks"]
    wrong = next((f"network {at} has no name" for at, one in enumerate(networks, 1) if not one.get("name")), "")
    wrong = wrong or unique_names(networks)
    if wrong:
        module.fail_json(msg=wrong)
    host = Host(params["state_dir"], params["run_dir"], params["timeout"])
    try:
        with contextlib.nullcontext() if module.check_mode else saved.lock(host.run_dir):
            outcomes = run(host, params, module.check_mode)
    except ItemError as error:
        outcomes = [Outcome(one["name"], error=str(error), fault=error.fault) for one in networks]
    finish(module, "networks", networks, outcomes)


if __name__ == "__main__":
    main()
