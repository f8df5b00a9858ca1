#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_settings
short_description: Tell the databases of OVN where to listen and whom to follow
description:
  - On the central the southbound database listens for hosts, over TLS only, each of which may change what is its own.
  - On a host Open vSwitch learns its name, the central, the address that packets of guests are carried from, and its
    certificate. One that belongs to another OVN already is refused.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: linux
    support: full
options:
  place:
    description: Which of the two this is.
    type: str
    choices: [central, chassis]
    required: true
  name:
    description: What the host is called among the hosts of OVN.
    type: str
    default: ""
  remote:
    description: The central, as C(ssl:address:port).
    type: str
    default: ""
  encap_ip:
    description: The address that the packets of guests are carried from, in Geneve.
    type: str
    default: ""
  datapath:
    description: V(netdev) is for kernels without Open vSwitch.
    type: str
    choices: [system, netdev]
    default: system
  mappings:
    description: The wires of external networks and their bridges, as C(wire:bridge) with commas between them.
    type: str
    default: ""
  port:
    description: The TCP port that the central listens on.
    type: int
    default: 6642
  directory:
    description: Where keys and certificates are.
    type: path
    default: /etc/virtfleet/ovn
"""

EXAMPLES = r"""
- name: Listen for hosts
  virtfleet.compute.ovn_settings:
    place: central

- name: Follow the central
  virtfleet.compute.ovn_settings:
    place: chassis
    name: kvm1
    remote: ssl:192.0.2.10:6642
    encap_ip: 192.0.2.11
"""

RETURN = r"""
operations:
  description: How many operations the transaction had.
  type: int
  returned: success
  sample: 2
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _ovsdb
from ..module_utils._model.errors import ItemError
from ..module_utils._ovn import certificates, settings

OPTIONS = {
    "place": {"type": "str", "choices": ["central", "chassis"], "required": True},
    "name": {"type": "str", "default": ""},
    "remote": {"type": "str", "default": ""},
    "encap_ip": {"type": "str", "default": ""},
    "datapath": {"type": "str", "choices": ["system", "netdev"], "default": "system"},
    "mappings": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 6642},
    "directory": {"type": "path", "default": "/etc/virtfleet/ovn"},
}
NAME_FILE = "/etc/openvswitch/system-id.conf"


def files(folder):
    """Return the files that a database is told of."""
    names = {
        "private_key": certificates.KEY,
        "certificate": certificates.CERTIFICATE,
        "ca_cert": certificates.AUTHORITY,
    }
    return {key: os.path.join(folder, name) for key, name in names.items()}


def wanted(asked):
    """Return what Open vSwitch is to know of this host."""
    return {
        "system-id": asked["name"],
        "hostname": asked["name"],
        "ovn-remote": asked["remote"],
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": asked["encap_ip"],
        "ovn-bridge-datapath-type": asked["datapath"] if asked["datapath"] != "system" else "",
        "ovn-bridge-mappings": asked["mappings"],
    }


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    asked, renamed = module.params, False
    try:
        if asked["place"] == "central":
            path, database = settings.SOUTH, "OVN_Southbound"
            operations = settings.central(files(asked["directory"]), asked["port"])
        else:
            path, database = _ovsdb.SWITCH, "Open_vSwitch"
            operations = settings.chassis(files(asked["directory"]), wanted(asked))
            renamed = settings.named(NAME_FILE, asked["name"])
        if renamed and not module.check_mode:
            settings.write_name(NAME_FILE, asked["name"])
        if operations and not module.check_mode:
            _ovsdb.transact(path, database, operations)
    except ItemError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(operations) or renamed, operations=len(operations))


if __name__ == "__main__":
    main()
