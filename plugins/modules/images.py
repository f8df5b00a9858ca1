#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: images
short_description: Bring the images of instances into the cache of a host
description:
  - Every distinct image of the list is in the cache of the host afterwards, whole, with the right checksum, safe and
    read-only.
  - The host fetches each image once, whatever number of instances and of runs want it at the same time, and continues
    a download that broke off where the server can.
  - An image that reaches outside itself (backing file, data file), is of another format than declared, or is larger
    than the disk of the flavor, is refused. What fails a check is deleted and never used.
  - An image that was altered in the cache is repaired, or fetched again, by the next run.
author: The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    description: Says which images would be fetched, without asking their servers.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  instances:
    description:
      - The instance records, of which C(name), C(image) and C(flavor) are read. One without an image is passed on.
      - One of O(instances) and O(images) is required.
    type: list
    elements: dict
  images:
    description:
      - Images to cache before anybody needs them, each with C(name), C(url), C(checksum) and C(disk_format).
      - C(url) is an http, https or file URL, as seen from the host.
      - C(checksum) is C(sha256:HEX), C(sha512:HEX), or the URL of a file with such sums that has a line for the
        image. The sums file is read when the image is fetched, not when it is already cached.
      - C(disk_format) is V(qcow2) or V(raw).
    type: list
    elements: dict
  state:
    description:
      - V(present) caches the images.
      - V(absent) is the undo of stage image and leaves the cache as it is, since other instances use it too.
    type: str
    choices: [present, absent]
    default: present
  slice:
    description:
      - After so many seconds the module returns with what is still to come in RV(pending), and the next call
        continues, so that a task with C(until) shows progress.
      - Servers that cannot resume are waited for. V(0) waits for everything.
    type: int
    default: 0
  state_dir:
    description: Where the host keeps what it has; the cache is its directory C(images).
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the locks are.
    type: path
    default: /run/virtfleet
seealso:
  - module: virtfleet.compute.volumes
"""

EXAMPLES = r"""
- name: Cache the image of an instance
  virtfleet.compute.images:
    instances:
      - name: web-1
        flavor: {name: m1.small, disk_gb: 2}
        image:
          name: debian-12
          url: https://images.example.org/debian-12.qcow2
          checksum: https://images.example.org/SHA512SUMS
          disk_format: qcow2

- name: Cache an image before it is needed, and show progress every ten seconds
  virtfleet.compute.images:
    images:
      - name: debian-12
        url: file:///srv/images/debian-12.qcow2
        checksum: sha256:0f3d2f1a8c4b7e6d5a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f
        disk_format: qcow2
    slice: 10
  register: cached
  until: cached.pending == []
  retries: 1000
  delay: 0
"""

RETURN = r"""
instances:
  description: The records of O(instances), in order, with what became of each.
  returned: when O(instances) is given
  type: list
  elements: dict
  contains:
    name:
      description: Name of the instance or image.
      type: str
      sample: web-1
    changed:
      description: Whether its image was fetched or repaired.
      type: bool
      sample: true
    failed:
      description: Whether it has failed.
      type: bool
      sample: false
    msg:
      description: Why it has failed.
      type: str
      sample: "image debian-12: this qcow2 has a backing file: convert it to a standalone image"
    fault:
      description: Whether another host may succeed (V(host)) or none (V(request)). Only for a failed one.
      type: str
      sample: request
    image:
      description: The image with C(path) and C(format), and with C(virtual_size) in bytes once it is cached.
      type: dict
      sample: {name: debian-12, path: /var/lib/virtfleet/images/1f0c.qcow2, format: qcow2, virtual_size: 2147483648}
images:
  description: The list O(images), in order; each with C(path), C(format) and C(virtual_size) and what became of it.
  returned: when O(images) is given
  type: list
  elements: dict
  sample: [{name: debian-12, path: /var/lib/virtfleet/images/1f0c.qcow2, format: qcow2, virtual_size: 2147483648}]
pending:
  description: How far each image is that was not finished within O(slice); empty when all are done.
  returned: always
  type: list
  elements: str
  sample: ["debian-12: 120 MiB of 300 MiB"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, finish, unique_names
from ..module_utils._images import cache, stage


def main():
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict"},
            "images": {"type": "list", "elements": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "slice": {"type": "int", "default": 0},
            "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
            "run_dir": {"type": "path", "default": "/run/virtfleet"},
        },
        required_one_of=[("instances", "images")],
        mutually_exclusive=[("instances", "images")],
        supports_check_mode=True,
    )
    key = "images" if module.params["instances"] is None else "instances"
    items = module.params[key]
    wrong = unique_names(items)
    if wrong:
        module.fail_json(msg=wrong)
    if module.params["state"] == "absent":
        finish(module, key, items, [Outcome(item["name"]) for item in items], pending=[])

    images = cache.directory(module.params["state_dir"])
    asked = [stage.wanted(item if key == "images" else item.get("image")) for item in items]
    before = stage.cached(images, asked)
    answers = before
    if not module.check_mode:
        answers = stage.obtain(images, module.params["run_dir"], asked, module.params["slice"])
    outcomes = []
    for item, image in zip(items, asked):
        identity = getattr(image, "id", None)
        outcomes.append(stage.outcome(item, image, before.get(identity), answers.get(identity), images))
    finish(module, key, items, outcomes, pending=stage.pending(answers))


if __name__ == "__main__":
    main()
