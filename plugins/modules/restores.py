#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restores
short_description: Give instances their disks of a backup back
description:
  - The volumes of an instance are afterwards as they were at the moment of a backup. The instance must be off.
  - The files of the backup and of those it lies on are compared with their digests first. The new disks are written
    beside the old ones, lie on no other file, and take their place when all of them are whole. Only a disk of a storage
    server, which has no place beside it, is written where it is.
  - Volumes of the instance that the backup does not have stay as they are.
  - Restoring again changes nothing unless the guest was started in between.
author: The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.copies
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
requirements:
  - python3-libvirt
  - python3-lxml
  - qemu-img
options:
  restores:
    description: What is to be restored, one for an instance.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the backup.
        type: str
        required: true
      instance:
        description: Its instance record, of which C(name), C(uuid) and C(image) are read.
        type: dict
        required: true
  directory:
    description: Where the backups are on the host.
    type: path
    default: /var/lib/virtfleet/backups
seealso:
  - module: virtfleet.compute.backups
"""

EXAMPLES = r"""
- name: Restore a guest that is off
  virtfleet.compute.restores:
    restores:
      - name: "2026-01-02"
        instance: {name: web-1, uuid: 5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11}
    directory: /mnt/backups
"""

RETURN = r"""
restores:
  description: What was restored in the order given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name of the instance.
      type: str
      sample: web-1
    changed:
      description: Whether anything was, or in check mode would be, changed.
      type: bool
      sample: true
    failed:
      description: Whether it failed; the others are not stopped by it.
      type: bool
      sample: false
    msg:
      description: Why it failed, or empty.
      type: str
      sample: ""
    fault:
      description: Who has to act when it failed, V(host) or V(request).
      type: str
      sample: request
    backup:
      description: The name of the backup.
      type: str
      sample: "2026-01-02"
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backups import restore
from ..module_utils._backups.source import Place
from ..module_utils._bulk import each, finish, unique_names
from ..module_utils._hypervisor.connection import connect
from ..module_utils._model.errors import ItemError

RESTORE = {"name": {"type": "str", "required": True}, "instance": {"type": "dict", "required": True}}
OPTIONS = {
    "restores": {"type": "list", "elements": "dict", "required": True, "options": RESTORE},
    "directory": {"type": "path", "default": "/var/lib/virtfleet/backups"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "keys": {"type": "dict", "default": {}, "no_log": True},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    items = module.params["restores"]
    told = [{"name": one["instance"].get("name"), "backup": one["name"]} for one in items]
    problem = unique_names(told)
    if problem:
        module.fail_json(msg=problem)
    place = Place(*(module.params[key] for key in ("state_dir", "run_dir", "uri", "directory", "keys")))
    take = restore.look if module.check_mode else restore.provide
    try:
        with connect(place.uri) as connection:
            outcomes = each(items, lambda item: take(connection, item, place))
    except ItemError as error:
        module.fail_json(msg=str(error))
    finish(module, "restores", told, outcomes)


if __name__ == "__main__":
    main()
