#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the small guest image on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_images
short_description: Build the small guest image from the distribution's own packages
description:
  - Makes a bootable disk of about 20 MB with a kernel, an SSH server, the guest agent and a reader for config
    drives, and beside it
    the kernel and its first stage alone, which the module M(virtfleet.compute.virt_types) boots to see whether KVM
    works.
  - The packages come from the mirrors that the host itself uses, and are only unpacked. Nothing is mounted.
  - An image is built anew when an input changed, that is a file of the guest, the release of the host, its list of
    mirrors, the
    packages or the way of building. The old image stays until the new one is whole.
author:
  - The virtfleet.compute authors (@virtfleet)
requirements:
  - Debian or Ubuntu on x86_64
  - mmdebstrap, kmod, binutils, cpio, fdisk, mtools, syslinux, syslinux-common, e2fsprogs, qemu-utils; fakeroot if
    not root
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
  guest_images:
    description: The images to build.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the image; its disk is called so, with the ending C(.qcow2).
        type: str
        required: true
      directory:
        description: Directory for the image and what belongs to it, of its own.
        type: path
        required: true
      files:
        description:
          - The guest's own files, path to content. Paths begin with V(root/) for the root filesystem, V(initrd/)
            for the first
            stage, or V(boot/) for the boot partition. Scripts become executable.
          - Not needed to remove an image.
        type: dict
        default: {}
      sources:
        description: Lists of mirrors on the host; the first that names a mirror is used.
        type: list
        elements: path
        default:
          - /etc/apt/sources.list.d/debian.sources
          - /etc/apt/sources.list.d/ubuntu.sources
          - /etc/apt/sources.list
  state:
    description: Whether the images shall be there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Build the guest image
  virtfleet.compute.guest_images:
    guest_images:
      - name: virtfleet-guest
        directory: /var/lib/virtfleet/guest
        files: "{{ my_files }}"

- name: Remove the guest image
  virtfleet.compute.guest_images:
    guest_images:
      - name: virtfleet-guest
        directory: /var/lib/virtfleet/guest
    state: absent
"""

RETURN = r"""
guest_images:
  description: The images in the order asked for.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the image.
      type: str
      sample: virtfleet-guest
    changed:
      description: Whether it was, or in check mode would be, built or removed.
      type: bool
      sample: true
    failed:
      description: Whether it could not be built.
      type: bool
      sample: false
    msg:
      description: Why it could not be built.
      type: str
      sample: ""
    path:
      description: The disk.
      type: str
      sample: /var/lib/virtfleet/guest/virtfleet-guest.qcow2
    digest:
      description: Changes when an input of the image changes.
      type: str
      sample: 02264e7bbec8ea1d9798e452b770746c0a01812949fa0ea9a025e68f9fc4a1bc
"""

import functools
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, each, finish, unique_names
from ..module_utils._guest import builder
from ..module_utils._guest.recipe import digest, recipe
from ..module_utils._model import os_release

SOURCES = [
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
    "/etc/apt/sources.list",
]
IMAGE = {
    "name": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "files": {"type": "dict", "default": {}},
    "sources": {"type": "list", "elements": "path", "default": SOURCES},
}


def ensure_present(check_mode, image):
    """Leave the image built from the inputs of today."""
    name, directory = image["name"], Path(image["directory"])
    release = os_release.parse(Path("/etc/os-release").read_text())
    wanted = recipe(name, release, builder.host_sources(image["sources"]), image["files"])
    before, after = builder.built(directory, name).get("digest", ""), digest(wanted)
    if before != after and not check_mode:
        builder.build(wanted, directory)
    facts = {"path": str(directory / f"{name}.qcow2"), "digest": after}
    return Outcome(name, before != after, before={"digest": before}, after={"digest": after}, facts=facts)


def ensure_absent(check_mode, image):
    """Leave nothing of the image."""
    left = builder.present_files(Path(image["directory"]), image["name"])
    if left and not check_mode:
        builder.remove(Path(image["directory"]), image["name"])
    return Outcome(image["name"], bool(left), before={"files": left}, after={"files": []})


def main():
    module = AnsibleModule(
        argument_spec={
            "guest_images": {"type": "list", "elements": "dict", "required": True, "options": IMAGE},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    images = module.params["guest_images"]
    if problem := unique_names(images):
        module.fail_json(msg=problem)
    step = ensure_present if module.params["state"] == "present" else ensure_absent
    outcomes = each(images, functools.partial(step, module.check_mode))
    # The texts of the guest's files are no result.
    finish(module, "guest_images", [{"name": image["name"]} for image in images], outcomes)


if __name__ == "__main__":
    main()
