#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what lies on a host besides its domains."""

from __future__ import annotations

DOCUMENTATION = r"""
module: traces_info
short_description: Tell what lies on a host besides its domains
description:
  - Returns what carries the mark of the collection on a host or lies in its directories and may belong to nothing, such
    as folders of instances, saved ports, taps, bridges, rules, secrets of libvirt and half-made images.
  - Which of it is stray only the registry can tell; see P(virtfleet.compute.audit#filter).
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.directories
  - virtfleet.compute.stores
  - virtfleet.compute.copies_directories
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
options:
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
  known:
    description:
      - UUIDs of instances that some host has, and of their volumes; what all hosts see of these is left out.
    type: list
    elements: str
    default: []
seealso:
  - module: virtfleet.compute.traces
"""

EXAMPLES = r"""
- name: Look at what lies on this host
  virtfleet.compute.traces_info:
  register: result
"""

RETURN = r"""
traces:
  description: Everything found, kind by kind.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(record), V(port), V(tap), V(missing), V(bridge), V(rules), V(secret), V(folder), V(unfinished),
        V(disk), V(image), V(pool_image), V(logical_volume) or V(copy), to name some.
      type: str
      sample: folder
    name:
      description: What it is called.
      type: str
      sample: 2c0fb7a4-6b3e-5d7c-9d8b-3f7b9a0c7d11
    evidence:
      description: What was seen, in words.
      type: str
    remedy:
      description: What to run if it is stray.
      type: str
    owner:
      description: UUID of the instance that it belongs to, or empty.
      type: str
    within:
      description: UUID of the instance that it lies beside without belonging to it, or empty.
      type: str
    age:
      description: Seconds since its last sign of life, or null.
      type: int
    old:
      description: Seconds since it was made, or null.
      type: int
    removable:
      description: Whether M(virtfleet.compute.traces) can take it away.
      type: bool
    volume:
      description: UUID of the volume with a life of its own that it is, or empty.
      type: str
stores:
  description: The pools of Ceph and volume groups of LVM that were looked into.
  returned: success
  type: list
  elements: dict
  sample: [{backend: rbd, pool: vms}]
unread:
  description: By kind why it could not be looked at.
  returned: success
  type: dict
  sample: {}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._hypervisor.connection import connect
from ..module_utils._hypervisor.traces import place
from ..module_utils._model.errors import ItemError
from ..module_utils._traces import look

OPTIONS = {
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "stores": {"type": "list", "elements": "dict", "default": []},
    "snapshots_directory": {"type": "path", "default": "/var/lib/virtfleet/snapshots"},
    "backups_directory": {"type": "path", "default": "/var/lib/virtfleet/backups"},
    "uri": {"type": "str", "default": "qemu:///system"},
    "known": {"type": "list", "elements": "str", "default": []},
}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params = module.params
    try:
        with connect(params["uri"]) as connection:
            copies = (params["snapshots_directory"], params["backups_directory"])
            where = (params["state_dir"], params["run_dir"], params["stores"], params["known"], copies)
            here = place(connection, *where)
            found, unread = look(here)
    except ItemError as error:
        module.fail_json(msg=str(error))
    stores = [dict(one) for one in here.stores]
    module.exit_json(changed=False, traces=[one.as_dict() for one in found], unread=unread, stores=stores)


if __name__ == "__main__":
    main()
