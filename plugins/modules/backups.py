#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backups
short_description: Back up the disks of instances
description:
  - A backup is all volumes of an instance as they were at one moment, qcow2 files beside a record with their digests.
  - A V(full) one lies on no other. An V(incremental) one has what changed since the last backup and lies on its files;
    it becomes a full one where there is nothing to go on from, which is so for the first one, after a restore, for a
    guest that is off, and for volumes that are V(raw).
  - A running guest is not paused, and its chain of disks is not changed, as libvirt's backup job (push) writes the copy
    and a checkpoint in the disk remembers what is written from then on. Only the checkpoint of the last backup is kept.
  - What a run that was killed left, a job, a checkpoint or half a file, is removed by the next one.
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
  backups:
    description: The backups, one for an instance.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What it is called; letters, digits, C(_), C(.) and C(-). One that is there is never made anew.
        type: str
        required: true
      instance:
        description: Its instance record, of which C(name), C(uuid) and C(image) are read.
        type: dict
        required: true
      kind:
        description: Whether it is to go on from the last one.
        type: str
        choices: [full, incremental]
        default: full
      quiesce:
        description:
          - Lets the guest agent freeze the file systems of a running guest for the moment of which the copy is.
          - Without it the copy is as after a power loss.
          - The guest is thawed even if this module is killed, and after 20 seconds in any case.
        type: bool
        default: false
  state:
    description:
      - V(present) makes them.
      - V(absent) removes them. One that another lies on is refused.
    type: str
    choices: [present, absent]
    default: present
  directory:
    description:
      - Where the backups are on the host, a folder for each instance. Let it be on another machine than the disks are.
    type: path
    default: /var/lib/virtfleet/backups
"""

EXAMPLES = r"""
- name: Back up what changed since the last backup
  virtfleet.compute.backups:
    backups:
      - name: "2026-01-02"
        kind: incremental
        instance: {name: web-1, uuid: 5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11}
        quiesce: true
    directory: /mnt/backups
"""

RETURN = r"""
backups:
  description: The backups in the order given, each with what became of it.
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
    kind:
      description: What it became. Only for one that is there.
      type: str
      sample: incremental
    parent:
      description: The backup that it lies on, or empty.
      type: str
      sample: "2026-01-01"
    size:
      description: Bytes of its files.
      type: int
      sample: 1507328
    created_at:
      description: When it was made, UTC.
      type: str
      sample: "2026-01-02 03:00:00"
    quiesced:
      description: Whether its file systems are consistent, as the guest was frozen or off.
      type: bool
      sample: true
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backups import backup
from ..module_utils._backups.source import Place
from ..module_utils._bulk import each, finish, unique_names
from ..module_utils._hypervisor.connection import connect
from ..module_utils._model.errors import ItemError

BACKUP = {
    "name": {"type": "str", "required": True},
    "instance": {"type": "dict", "required": True},
    "kind": {"type": "str", "choices": ["full", "incremental"], "default": "full"},
    "quiesce": {"type": "bool", "default": False},
}
OPTIONS = {
    "backups": {"type": "list", "elements": "dict", "required": True, "options": BACKUP},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "directory": {"type": "path", "default": "/var/lib/virtfleet/backups"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    items, present = module.params["backups"], module.params["state"] == "present"
    told = [{"name": one["instance"].get("name"), "backup": one["name"]} for one in items]
    problem = unique_names(told)
    if problem:
        module.fail_json(msg=problem)
    place = Place(*(module.params[key] for key in ("state_dir", "run_dir", "uri", "directory")))

    def step(item):
        if present:
            return backup.look(item, place) if module.check_mode else backup.provide(connection, item, place)
        return (backup.look_removed if module.check_mode else backup.withdraw)(item, place)

    try:
        with connect(place.uri) if present and not module.check_mode else contextlib.nullcontext() as connection:
            outcomes = each(items, step)
    except ItemError as error:
        module.fail_json(msg=str(error))
    finish(module, "backups", told, outcomes)


if __name__ == "__main__":
    main()
