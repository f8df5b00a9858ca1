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
    a download that broke off where the server can. Mirrors are tried in order, other hosts that have it before them.
  - An image packed by C(xz), C(gzip), C(zstd) or C(bzip2) is unpacked. The checksum is that of the file as published.
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
      - Images to cache before anybody needs them, to verify or to remove, each with C(name), C(url), C(checksum) and
        C(disk_format).
      - To verify or remove one, C(name) and C(id), which M(virtfleet.compute.images_info) tells, do as well.
      - C(url) is an http, https or file URL, as seen from the host, or a list of such URLs of the same file.
      - C(checksum) is C(sha256:HEX), C(sha512:HEX), or the URL of a file with such sums that has a line for the
        image. The sums file is read when the image is fetched, not when it is already cached.
      - C(disk_format) is V(qcow2) or V(raw).
    type: list
    elements: dict
  state:
    description:
      - V(present) caches the images.
      - V(verified) reads every byte of those that are cached. One that is not what was cached fails, is used by no
        instance from then on, and is fetched again by the next V(present). Nothing is fetched.
      - V(absent) removes O(images) from the cache, but none that a guest of the host needs, whether it runs or not
        and whether it is ours or not. For O(instances) it is the undo of stage image and leaves the cache as it is,
        since other instances use it too.
    type: str
    choices: [present, verified, absent]
    default: present
  slice:
    description:
      - After so many seconds the module returns with what is still to come in RV(pending), and the next call
        continues, so that a task with C(until) shows progress.
      - Servers that cannot resume are waited for. V(0) waits for everything.
    type: int
    default: 0
  peers:
    description: Other hosts that have an image and hand it over, as M(virtfleet.compute.image_shares) tells.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The image, by the name of its record in the cache.
        type: str
        required: true
      host:
        description: The host, for messages.
        type: str
        required: true
      url:
        description: Where it is to be had for now. The address is all that one needs to get it, hence secret.
        type: str
        required: true
      checksum:
        description: Digest of the file, which is compared on arrival.
        type: str
        required: true
  cache_gb:
    description:
      - How large the cache may be in GiB; V(0) is as large as its file system. Before a download would make it larger,
        images go that were not used for longest, but none that a guest needs or that was used in the last ten minutes.
    type: int
    default: 0
  free_gb:
    description: How many GiB of the cache's file system stay free. Images go as for O(cache_gb).
    type: int
    default: 0
  max_gb:
    description: How large the disk of one image, or what a packed one holds, may be in GiB; V(0) is any size.
    type: int
    default: 0
  uri:
    description: The libvirt that knows the guests. It is asked only before something is removed.
    type: str
    default: qemu:///system
  state_dir:
    description: Where the host keeps what it has; the cache is its directory C(images).
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the locks are.
    type: path
    default: /run/virtfleet
seealso:
  - module: virtfleet.compute.images_info
  - module: virtfleet.compute.image_shares
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

- name: Read the cached image and see that it is what was cached
  virtfleet.compute.images:
    images:
      - name: debian-12
        url: file:///srv/images/debian-12.qcow2
        disk_format: qcow2
    state: verified
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
      description: The image with C(format), and with C(path) and C(virtual_size) in bytes once it is cached.
      type: dict
      sample: {name: debian-12, path: /var/lib/virtfleet/images/1f0c.qcow2, format: qcow2, virtual_size: 2147483648}
images:
  description:
    - The list O(images), in order; each with C(path), C(format) and C(virtual_size) and what became of it.
    - With O(state=verified) and O(state=absent), C(cached) tells whether it is in the cache, C(verified_at) when it
      was last read as a whole, in UTC.
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

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, each, finish, unique_names
from ..module_utils._image_needs import in_clusters, without_made
from ..module_utils._image_users import image_users
from ..module_utils._images import cache, stage
from ..module_utils._images.room import GIB, Room
from ..module_utils._images.source import peers_of

OPTIONS = {
    "instances": {"type": "list", "elements": "dict"},
    "images": {"type": "list", "elements": "dict"},
    "state": {"type": "str", "choices": ["present", "verified", "absent"], "default": "present"},
    "slice": {"type": "int", "default": 0},
    "peers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "id": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "url": {"type": "str", "required": True, "no_log": True},
            "checksum": {"type": "str", "required": True},
        },
    },
    "cache_gb": {"type": "int", "default": 0},
    "free_gb": {"type": "int", "default": 0},
    "max_gb": {"type": "int", "default": 0},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def main():
    module = AnsibleModule(
        argument_spec=OPTIONS,
        required_one_of=[("instances", "images")],
        mutually_exclusive=[("instances", "images")],
        supports_check_mode=True,
    )
    params = module.params
    key = "images" if params["instances"] is None else "instances"
    items = params[key]
    wrong = unique_names([{"name": item.get("id") or item["name"]} for item in items])
    if wrong:
        module.fail_json(msg=wrong)
    images, run_dir, change = cache.directory(params["state_dir"]), params["run_dir"], not module.check_mode
    users = partial(image_users, params["state_dir"], params["uri"])
    if params["state"] == "absent" and key == "instances":
        finish(module, key, items, [Outcome(item["name"]) for item in items], pending=[])

    if params["state"] == "absent":
        step = partial(stage.removed, images=images, run_dir=run_dir, users=users, change=change)
        finish(module, key, items, each(items, step), pending=[])
    if params["state"] == "verified":
        step = partial(stage.verified, images=images, change=change)
        finish(module, key, items, each(items, step, stage.DOWNLOADS), pending=[])

    items = [without_made(item, params["state_dir"]) for item in items]
    wanted = [stage.wanted_by(item) for item in items]
    asked = [image for images_of_one in wanted for image in images_of_one]
    cloned = in_clusters(items) if key == "instances" else {}
    before = {**stage.cached(images, asked), **cloned}
    answers = before
    if change:
        limits = Room(params["cache_gb"] * GIB, params["free_gb"] * GIB, params["max_gb"] * GIB, users)
        peers = peers_of(params["peers"])
        fetched = stage.obtain(
            [image for image in asked if getattr(image, "id", None) not in cloned],
            params["slice"],
            lambda image, deadline: cache.ensure(images, run_dir, image, deadline, limits, peers.get(image.id, ())),
        )
        answers = {**fetched, **cloned}
    outcomes = [stage.outcomes(item, one, before, answers, images) for item, one in zip(items, wanted)]
    finish(module, key, items, outcomes, pending=stage.pending(answers))


if __name__ == "__main__":
    main()
