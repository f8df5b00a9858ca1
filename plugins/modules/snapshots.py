#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshots
short_description: Make images of the disks of instances
description:
  - A snapshot is a volume of an instance as it was at one moment, in one qcow2 file that lies on no other, with the
    entry for the catalogue of images that lets other instances boot from it.
  - A running guest is not paused, and nothing about its disk is changed. libvirt's backup job (push) writes the copy.
    The copy of a guest that is off is made by qemu-img.
  - An instance with snapshots of libvirt or files below its disk that we did not put there is refused.
  - What a run that was killed left, a job or half a file, is removed by the next one.
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
  snapshots:
    description: The snapshots.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What it is called; letters, digits, C(_), C(.) and C(-).
        type: str
        required: true
      instance:
        description: Its instance record, of which C(name), C(uuid) and C(image) are read.
        type: dict
      volume:
        description: Which of its volumes.
        type: str
        default: root
      quiesce:
        description:
          - Lets the guest agent freeze the file systems of a running guest for the moment of which the copy is.
          - Without it the copy is as after a power loss.
          - The guest is thawed even if this module is killed, and after 20 seconds in any case.
        type: bool
        default: false
      plain:
        description: Whether an encrypted volume may become an image in clear; it is refused otherwise.
        type: bool
        default: false
      host:
        description: What the host is called, for the entry of the catalogue; the host hands the image to others then.
        type: str
        default: ""
  state:
    description:
      - V(present) makes those that are not there; one that is there is never made anew.
      - V(absent) removes them. Only their names are needed.
    type: str
    choices: [present, absent]
    default: present
  directory:
    description:
      - Where the snapshots are on the host. If that is a directory that all hosts share, all can boot from them.
    type: path
    default: /var/lib/virtfleet/snapshots
"""

EXAMPLES = r"""
- name: Make an image of a web server
  virtfleet.compute.snapshots:
    snapshots:
      - name: web-golden
        instance: {name: web-1, uuid: 5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11}
        quiesce: true
  register: made

- name: Remove it
  virtfleet.compute.snapshots:
    snapshots: [{name: web-golden}]
    state: absent
"""

RETURN = r"""
snapshots:
  description: The snapshots in the order given, each with what became of it.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: web-golden
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
    image:
      description: The entry for C(virtfleet_images). Only for one that is there.
      type: dict
      sample: {url: "file:///var/lib/virtfleet/snapshots/web-golden.qcow2", checksum: "sha256:...", disk_format: qcow2}
    path:
      description: Its file.
      type: str
      sample: /var/lib/virtfleet/snapshots/web-golden.qcow2
    size:
      description: Bytes of the file.
      type: int
      sample: 155189248
    created_at:
      description: When it was made, UTC.
      type: str
      sample: "2026-01-01 10:00:00"
    quiesced:
      description: Whether its file systems are consistent, as the guest was frozen or off.
      type: bool
      sample: true
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backups import snapshot
from ..module_utils._backups.source import Place
from ..module_utils._bulk import each, finish, unique_names
from ..module_utils._hypervisor.connection import connect
from ..module_utils._model.errors import ItemError

SNAPSHOT = {
    "name": {"type": "str", "required": True},
    "instance": {"type": "dict"},
    "volume": {"type": "str", "default": "root"},
    "quiesce": {"type": "bool", "default": False},
    "plain": {"type": "bool", "default": False},
    "host": {"type": "str", "default": ""},
}
OPTIONS = {
    "snapshots": {"type": "list", "elements": "dict", "required": True, "options": SNAPSHOT},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "directory": {"type": "path", "default": "/var/lib/virtfleet/snapshots"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "keys": {"type": "dict", "default": {}, "no_log": True},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    items, present = module.params["snapshots"], module.params["state"] == "present"
    problem = unique_names(items) or next(
        (f"{one['name']}: a snapshot needs its instance" for one in items if present and not one["instance"]), ""
    )
    if problem:
        module.fail_json(msg=problem)
    place = Place(*(module.params[key] for key in ("state_dir", "run_dir", "uri", "directory", "keys")))

    def step(item):
        if present:
            return snapshot.look(item, place) if module.check_mode else snapshot.provide(connection, item, place)
        return (snapshot.look_removed if module.check_mode else snapshot.withdraw)(item["name"], place)

    try:
        with connect(place.uri) if present and not module.check_mode else contextlib.nullcontext() as connection:
            outcomes = each(items, step)
    except ItemError as error:
        module.fail_json(msg=str(error))
    told = [{key: one[key] for key in ("name", "volume", "quiesce")} for one in items]
    finish(module, "snapshots", told, outcomes)


if __name__ == "__main__":
    main()
