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
    where there is nothing to go on from it is refused with the reason. That is so for the first one, after a restore,
    for a guest that is off, and where any of the volumes is encrypted or no qcow2 file.
  - Volumes in Ceph, LVM and storage servers are copied whole, into qcow2 files as the others. Those of encrypted ones
    are encrypted with the same passphrase.
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
        description:
          - Whether it is to go on from the last one.
          - V(auto) is incremental where it can be, and else full, with the reason in C(why_full).
        type: str
        choices: [full, incremental, auto]
        default: full
      volumes:
        description: Whether it has V(all) volumes of the instance, or only those that are its V(own) and go with it.
        type: str
        choices: [all, own]
        default: all
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
    why_full:
      description: Why one of kind V(auto) that was made now is a full one, or empty.
      type: str
      sample: ""
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
    "kind": {"type": "str", "choices": ["full", "incremental", "auto"], "default": "full"},
    "volumes": {"type": "str", "choices": ["all", "own"], "default": "all"},
    "quiesce": {"type": "bool", "default": False},
}
OPTIONS = {
    "backups": {"type": "list", "elements": "dict", "required": True, "options": BACKUP},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "directory": {"type": "path", "default": "/var/lib/virtfleet/backups"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "keys": {"type": "dict", "default": {}, "no_log": True},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    items, present = module.params["backups"], module.params["state"] == "present"
    told = [{"name": one["instance"].get("name"), "backup": one["name"]} for one in items]
    problem = unique_names(told)
    if problem:
        module.fail_json(msg=problem)
    place = Place(*(module.params[key] for key in ("state_dir", "run_dir", "uri", "directory", "keys")))

    def step(item):
        if present:
            return (backup.look if module.check_mode else backup.provide)(connection, item, place)
        return (backup.look_removed if module.check_mode else backup.withdraw)(item, place)

    try:
        with connect(place.uri) if present else contextlib.nullcontext() as connection:
            outcomes = each(items, step)
    except ItemError as error:
        module.fail_json(msg=str(error))
    finish(module, "backups", told, outcomes)


if __name__ == "__main__":
    main()
