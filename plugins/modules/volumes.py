#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: volumes
short_description: Make the disks of instances
description:
  - Every volume of every instance is there afterwards, at its size, made from the cached image by its backend. A
    volume has its name only once it is complete.
  - A volume grows when its size was raised; that of a running guest does so at its next boot. What would destroy data
    is refused, that is another backend, another image, or a smaller size.
  - The host records the volumes it made. An existing disk is compared with that record and never opened to find out
    what it is, because a guest could have written anything into it.
author: The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  instances:
    description:
      - The instance records, of which C(name), C(uuid), C(image) and C(volumes) are read. C(image) carries what
        M(virtfleet.compute.images) has added.
      - Each of C(volumes) has C(name), C(backend), C(size_gb) in GiB and C(boot_index). That with C(boot_index) 0 is
        made from the image and as large as that when C(size_gb) is 0; the others are blank.
      - The backends are C(qcow2), an overlay on the cached image that holds only what the guest changes, and C(raw),
        a sparse copy that shares blocks with the image where the file system can.
      - One with C(encryption) V(luks) is opened by a passphrase of O(keys).
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) makes the volumes.
      - V(absent) removes the volumes of the instances and what is left of half-made ones, with all data. Nothing
        outside of the instance's own directory is touched.
    type: str
    choices: [present, absent]
    default: present
  state_dir:
    description: Where the host keeps what it has; the volumes are in C(instances/<uuid>) below it.
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the locks are.
    type: path
    default: /run/virtfleet
  keys:
    description:
      - Passphrases of encrypted volumes, by the name of a volume or of what its C(key) says. They reach qemu-img
        through a pipe and are kept nowhere.
      - By default those of C(virtfleet_volume_keys) that the volumes need, if the records come from C(virtfleet_here).
    type: dict
    default: {}
seealso:
  - module: virtfleet.compute.images
"""

EXAMPLES = r"""
- name: Make the root disk of an instance
  virtfleet.compute.volumes:
    instances:
      - name: web-1
        uuid: 5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11
        image: {name: debian-12, path: /var/lib/virtfleet/images/1f0c.qcow2, format: qcow2, virtual_size: 2147483648}
        volumes: [{name: root, backend: qcow2, size_gb: 10, boot_index: 0}]

- name: Remove the disks of an instance with all data
  virtfleet.compute.volumes:
    instances:
      - name: web-1
        uuid: 5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11
        volumes: [{name: root, backend: qcow2, size_gb: 10, boot_index: 0}]
    state: absent
"""

RETURN = r"""
instances:
  description: The records of O(instances), in order, with what became of each.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the instance.
      type: str
      sample: web-1
    changed:
      description: Whether a volume of it was made, grown or removed.
      type: bool
      sample: true
    failed:
      description: Whether it has failed.
      type: bool
      sample: false
    msg:
      description: Why it has failed.
      type: str
      sample: "volume root has 2 GiB: 1 GiB would destroy data; keep the size, or delete the instance first"
    fault:
      description: Whether another host may succeed (V(host)) or none (V(request)). Only for a failed one.
      type: str
      sample: request
    volumes:
      description:
        - The volumes with C(path), C(format), C(base), the image a volume was made from, and C(size) in bytes.
        - C(next_boot) says what changes when the guest is started again, and is empty otherwise.
      type: list
      elements: dict
      sample:
        - name: root
          backend: qcow2
          size_gb: 10
          boot_index: 0
          path: /var/lib/virtfleet/instances/5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11/root.qcow2
          format: qcow2
          base: /var/lib/virtfleet/images/1f0c.qcow2
          size: 10737418240
          next_boot: ""
"""

import os
from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import each, finish, unique_names
from ..module_utils._volumes import stage


def main():
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
            "run_dir": {"type": "path", "default": "/run/virtfleet"},
            "keys": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    instances, state_dir, run_dir = (module.params[key] for key in ("instances", "state_dir", "run_dir"))
    wrong = unique_names(instances)
    if wrong:
        module.fail_json(msg=wrong)

    present = module.params["state"] == "present"
    if module.check_mode:
        look = stage.planned if present else stage.planned_removal
        finish(module, "instances", instances, each(instances, lambda instance: look(instance, state_dir)))
    take = partial(stage.provide, keys=module.params["keys"]) if present else stage.withdraw
    threads = 2 * (os.cpu_count() or 1)
    outcomes = each(instances, lambda instance: take(instance, state_dir, run_dir), threads)
    finish(module, "instances", instances, outcomes)


if __name__ == "__main__":
    main()
