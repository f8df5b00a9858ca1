#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backups_info
short_description: List the snapshots and backups of a host
description:
  - Tells which snapshots and backups a host has, and what killed runs left of them, jobs, checkpoints and files.
  - It changes nothing.
author: The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.copies_directories
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
requirements:
  - python3-libvirt
  - python3-lxml
options:
  instances:
    description:
      - The records of the instances of this host, for their jobs and checkpoints. C(name) and C(uuid) are read.
    type: list
    elements: dict
    default: []
  run_dir:
    description: Where the locks are.
    type: path
    default: /run/virtfleet
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
"""

EXAMPLES = r"""
- name: List what there is
  virtfleet.compute.backups_info:
"""

RETURN = r"""
snapshots:
  description: The snapshots that are whole.
  returned: success
  type: list
  elements: dict
  sample: [{name: web-golden, instance: web-1, created_at: "2026-01-01 10:00:00", size: 155189248}]
backups:
  description: The backups that are whole, by instance the oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{name: "2026-01-02", instance: web-1, size: 1507328, parent: "2026-01-01"}]
stray:
  description: What killed runs left, a sentence each. What a run is at work on is not among it.
  returned: success
  type: list
  elements: str
  sample: ["/var/lib/virtfleet/snapshots/web-golden.qcow2.new belongs to no snapshot"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backups import inventory
from ..module_utils._hypervisor.connection import connect
from ..module_utils._model.errors import ItemError

OPTIONS = {
    "instances": {"type": "list", "elements": "dict", "default": []},
    "snapshots_directory": {"type": "path", "default": "/var/lib/virtfleet/snapshots"},
    "backups_directory": {"type": "path", "default": "/var/lib/virtfleet/backups"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params = module.params
    snapshots, backups = params["snapshots_directory"], params["backups_directory"]
    try:
        stray = inventory.stray_files(snapshots, backups, params["run_dir"])
        if params["instances"]:
            with connect(params["uri"]) as connection:
                stray += inventory.stray_jobs(connection, params["instances"], snapshots, backups, params["run_dir"])
        module.exit_json(changed=False, **inventory.listed(snapshots, backups), stray=stray)
    except ItemError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
