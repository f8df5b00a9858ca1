#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ports
short_description: Plug the network ports of instances
description:
  - Gives each port of each instance its own tap on its bridge, guarded by nftables rules, and proves that it is
    plugged.
  - The rules stand before the tap does. They let a guest send only from its own MAC and addresses (IPv4, ARP, IPv6,
    neighbour discovery), and keep it from being a DHCP server or router and from sending VLAN tags, spanning tree or
    other kinds of frames, unless the port says C(port_security=false).
  - A port with C(security_groups) lets pass what their rules say, in both directions, and answers to it. An empty list
    lets nothing pass but address resolution and DHCP. A port without the key is not filtered.
  - A connection that rules no longer allow is cut when they change, and only it. That needs C(conntrack) on the host.
  - All ports of a host are one ruleset that is replaced in one transaction, in the tables C(bridge virtfleet),
    C(ip virtfleet_nat) and, where the kernel does not track connections of bridges itself, C(inet virtfleet_state).
    Tables, bridges and taps of others are never touched.
  - A network of type V(nat) gets a private bridge with the gateway's address, made when its first port is plugged, and
    reaches the outside masqueraded. A network of type V(bridge) uses a bridge that the host already has.
  - A port with C(qos) is limited in both directions by token buckets (C(tbf)), with an C(ifb) for what the guest sends.
    They change in place, and go with the port.
  - Each port is saved as C(ports/<id>.json) below O(state_dir), from which M(virtfleet.compute.port_hook) plugs it
    again after a reboot.
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
  instances:
    description:
      - The instance records of this host, with C(name), C(uuid), C(domain) and C(ports).
      - A port without C(addresses) gets its address from a DHCP server of others, so it may use any address, but only
        its own MAC.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) plugs the ports. What stands already is left alone; a tap that was deleted or rules that were flushed
        are made again.
      - V(absent) deletes the taps, saved ports and rules of the instances, also when they are half made. The bridge of
        a V(nat) network stays.
    type: str
    choices: [present, absent]
    default: present
  members:
    description:
      - Who is in the security groups that rules of this host's ports name, as stage claim tells it from the registry.
      - Rules of ports that are not among O(instances) are changed in place, too. What a group that is not told of had
        stays; one that nobody told of has no members, so that such a rule lets nobody in.
    type: dict
    default: {}
    suboptions:
      serial:
        description: A number that grows. Members with a lower one than the host knows are passed over.
        type: int
        default: 0
      host_ip:
        description: The address that other hosts reach this one at; networks of type V(vxlan) are carried from it.
        type: str
        default: ""
      groups:
        description:
          - By C(project/group/network) the addresses and ranges.
          - By C(vxlan//network) the ports of a network of type V(vxlan), each C(host MAC address ...).
          - By C(names//network) the guests of a network with names, each C(name address ...).
        type: dict
        default: {}
  vif_plugging_timeout:
    description:
      - Seconds after which a port that is not seen on its bridge is given up, as in Nova. V(0) looks once and does not
        wait.
      - What C(ip) refuses to do is not waited for.
    type: float
    default: 300
  vif_plugging_is_fatal:
    description:
      - Whether a port that is given up fails its instance and is undone, as in Nova. If not, there is a warning,
        C(plugged) is false, and the guest starts on a tap that is on no bridge. The next run tries again.
      - A port without a tap or without rules is always fatal.
    type: bool
    default: true
seealso:
  - module: virtfleet.compute.ports_info
  - module: virtfleet.compute.port_hook
"""

EXAMPLES = r"""
- name: Plug the ports of the instances
  virtfleet.compute.ports:
    instances: "{{ instances }}"

- name: See what would be plugged
  virtfleet.compute.ports:
    instances: "{{ instances }}"
  check_mode: true
  diff: true

- name: Unplug one port
  virtfleet.compute.ports:
    instances:
      - name: web-1
        uuid: 0b6f1a0e-6d0c-5c60-a0f0-2f6f5b5a7d11
        ports:
          - id: 5f0c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a5b
    state: absent
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
      description: Whether a port of the instance was changed, or the rules of the host were loaded again for it.
      type: bool
    failed:
      description: Whether a port of the instance could not be plugged. It is undone then, unless it stood before.
      type: bool
    msg:
      description: Why it failed, or empty.
      type: str
      sample: "mtu 9000 of network 'lan' is more than the 1500 of bridge br7"
    fault:
      description: Who has to act, V(host) (another host may do) or V(request).
      type: str
      returned: when it failed
    ports:
      description: The ports as given, with what was learned.
      type: list
      elements: dict
      contains:
        tap:
          description: Name of the tap on the host.
          type: str
          sample: tap5f0c1a2b3c4
        bridge:
          description: Bridge that the tap is on.
          type: str
          sample: virtfleet0
        gateway:
          description: The guest's gateway, if the network has one.
          type: str
          sample: 10.0.0.1
        plugged:
          description: Whether the tap is on its bridge and its rules are loaded.
          type: bool
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, each, finish, unique_names
from ..module_utils._model.errors import ItemError
from ..module_utils._network import links, members, plug, saved, unplug
from ..module_utils._network.host import Host, read

OPTIONS = {
    "instances": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "members": {
        "type": "dict",
        "default": {},
        "options": {
            "serial": {"type": "int", "default": 0},
            "host_ip": {"type": "str", "default": ""},
            "groups": {"type": "dict", "default": {}},
        },
    },
    "vif_plugging_timeout": {"type": "float", "default": 300},
    "vif_plugging_is_fatal": {"type": "bool", "default": True},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
}


def run(host, params, check_mode):
    """Read the host once, plan every instance and, unless in check mode, apply the plans in bulk."""
    instances = params["instances"]
    if params["state"] == "absent":
        world, marked = read(host), links.ours()
        outcomes = each(instances, lambda record: unplug.plan(world, record, marked))
        return world, ({}, {}), outcomes if check_mode else unplug.unplug(host, world, instances, outcomes)
    told = params["members"]
    groups = members.told(told.get("serial"), told.get("groups") or {})
    world = read(host, groups, told.get("host_ip") or "")
    outcomes = each(instances, lambda record: plug.plan(world, record))
    groups = plug.regrouped(world)
    return world, groups, outcomes if check_mode else plug.plug(host, world, instances, outcomes)


def more(groups, outcomes):
    """Return what the result has beside the instances where members of groups changed."""
    before, after = groups
    if not after:
        return {}
    instances = [
        {"before_header": one.name, "after_header": one.name, "before": one.before, "after": one.after}
        for one in outcomes
        if one.changed
    ]
    header = {"before_header": "members of groups", "after_header": "members of groups"}
    return {"changed": True, "diff": [{**header, "before": before, "after": after}, *instances]}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params, instances = module.params, module.params["instances"]
    wrong = next((f"instance {at} has no name" for at, one in enumerate(instances, 1) if not one.get("name")), "")
    wrong = wrong or unique_names(instances)
    if wrong:
        module.fail_json(msg=wrong)
    keys, absent = (
        ("state_dir", "run_dir", "vif_plugging_timeout", "vif_plugging_is_fatal"),
        params["state"] == "absent",
    )
    host = Host(*(params[key] for key in keys))
    groups = ({}, {})
    try:
        with contextlib.nullcontext() if module.check_mode else saved.lock(host.run_dir):
            world, groups, outcomes = run(host, params, module.check_mode)
        for warning in [*world.warnings, *([] if module.check_mode or absent else plug.warnings(outcomes))]:
            module.warn(warning)
    except ItemError as error:
        outcomes = [Outcome(one["name"], error=str(error), fault=error.fault) for one in instances]
        if not instances:
            module.fail_json(msg=str(error))
    finish(module, "instances", instances, outcomes, **more(groups, outcomes))


if __name__ == "__main__":
    main()
