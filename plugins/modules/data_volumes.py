#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: data_volumes
short_description: Makes, extends, moves and deletes volumes that no instance is needed for
description:
  - A volume of the catalogue has a life of its own. It is made blank, grows, never shrinks, and is deleted only while
    no guest has it open.
  - The disks that go with an instance are those of M(virtfleet.compute.volumes).
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  volumes:
    description: Volumes with C(name), C(id), C(backend), C(size_gb) and, where the backend needs it, C(pool).
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) makes or extends them; V(absent) deletes them with all data.
      - V(retyped) moves each from where its C(origin) says, C(backend) and C(pool) of another type, to where it says
        itself. It is copied, the copy is compared, and then it is deleted where it was. A guest must not have it.
    type: str
    choices: [present, absent, retyped]
    default: present
  state_dir:
    description: Where the host keeps what it has; volumes are in C(volumes) below it unless their pool says otherwise.
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the locks are.
    type: path
    default: /run/virtfleet
  keys:
    description: Passphrases of encrypted volumes, by the name of a volume or of what its C(key) says.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make a volume of 10 GiB
  virtfleet.compute.data_volumes:
    volumes:
      - {name: data, id: f797aacd-a53d-59d8-bd43-caa877072205, backend: qcow2, size_gb: 10}

- name: Move it to a directory that all hosts see
  virtfleet.compute.data_volumes:
    volumes:
      - name: data
        id: f797aacd-a53d-59d8-bd43-caa877072205
        backend: raw
        pool: {directory: /srv/nfs/volumes, shared: true}
        origin: {backend: qcow2}
    state: retyped

- name: Delete it
  virtfleet.compute.data_volumes:
    volumes:
      - {name: data, id: f797aacd-a53d-59d8-bd43-caa877072205, backend: qcow2}
    state: absent
"""

RETURN = r"""
volumes:
  description: The volumes in the order given, each with what became of it.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: data
    changed:
      description: Whether it was, or in check mode would be, made, extended or deleted.
      type: bool
    failed:
      description: Whether it has failed; the others are not stopped by it.
      type: bool
    msg:
      description: Why it has failed, or empty.
      type: str
      sample: "volume data is in use by a guest: detach it first"
    path:
      description: Where it is.
      type: str
      returned: with O(state=present) and O(state=retyped)
      sample: /var/lib/virtfleet/volumes/f797aacd-a53d-59d8-bd43-caa877072205.qcow2
    size:
      description: Its size in bytes.
      type: int
      returned: with O(state=present) and O(state=retyped)
      sample: 10737418240
    next_boot:
      description: That it grows later because a guest has it open; C(boot.yml) extends it live.
      type: str
      returned: with O(state=present)
      sample: "grows from 1 GiB to 2 GiB"
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import each, finish, unique_names
from ..module_utils._volumes import alone, retype

OPTIONS = {
    "volumes": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "retyped"], "default": "present"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "keys": {"type": "dict", "default": {}, "no_log": True},
}
PLANS = {"present": alone.planned, "absent": alone.planned_removal, "retyped": retype.planned}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    items, state_dir, run_dir = (module.params[key] for key in ("volumes", "state_dir", "run_dir"))
    wrong = unique_names([{"name": one.get("id") or one.get("name")} for one in items])
    if wrong:
        module.fail_json(msg=wrong)
    state, keys = module.params["state"], module.params["keys"]

    def step(item):
        if module.check_mode:
            return PLANS[state](item, state_dir)
        if state == "absent":
            return alone.withdraw(item, state_dir, run_dir)
        return (alone.provide if state == "present" else retype.retype)(item, state_dir, run_dir, keys)

    finish(module, "volumes", items, each(items, step))


if __name__ == "__main__":
    main()
