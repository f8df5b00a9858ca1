#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: images_info
short_description: Tell what is in the image cache of a host
description:
  - Every image in the cache of the host with its size, when it was fetched, used and verified, and which guests of the
    host are made from it, ours or not, running or not.
author: The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  state_dir:
    description: Where the host keeps what it has; the cache is its directory C(images).
    type: path
    default: /var/lib/virtfleet
  uri:
    description: The libvirt that knows the guests.
    type: str
    default: qemu:///system
seealso:
  - module: virtfleet.compute.images
"""

EXAMPLES = r"""
- name: See what is cached
  virtfleet.compute.images_info:
  register: cache

- name: Name the images that no guest of the host needs
  ansible.builtin.debug:
    msg: "{{ cache.images | rejectattr('used_by') | map(attribute='name') }}"
"""

RETURN = r"""
images:
  description: The cached images by name. One that was asked for by several names or addresses is there once for each.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name in the catalogue of whoever fetched it; empty for a file that nothing is recorded of.
      type: str
      sample: debian-12
    id:
      description: Name of its record.
      type: str
    path:
      description: The file.
      type: str
    url:
      description: Where it came from.
      type: str
    checksum:
      description: Digest of the file.
      type: str
    packed:
      description: Digest of the archive that it came in; empty when it was not packed.
      type: str
    format:
      description: Its format.
      type: str
      sample: qcow2
    size:
      description: Bytes that it takes on the disk of the host.
      type: int
    virtual_size:
      description: Bytes of the disk that it is.
      type: int
    fetched_at:
      description: When it was fetched, in UTC.
      type: str
      sample: "2026-05-01 12:00:00"
    used_at:
      description: When an instance was last made from it or wanted to be, in UTC.
      type: str
    verified_at:
      description: When all of it was last read and compared with its digest, in UTC.
      type: str
    altered:
      description: Whether its size, date or mode is not as it was left, so that the next use verifies it.
      type: bool
    used_by:
      description: The guests made from it, as libvirt calls them; null when libvirt cannot be asked.
      type: list
      elements: str
      sample: [web-1, web-2]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._image_users import image_users
from ..module_utils._images import cache, listing
from ..module_utils._model.errors import ItemError


def main():
    module = AnsibleModule(
        argument_spec={
            "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
            "uri": {"type": "str", "default": "qemu:///system"},
        },
        supports_check_mode=True,
    )
    users = None
    try:
        users = image_users(module.params["state_dir"], module.params["uri"])
    except ItemError as error:
        module.warn(f"who uses the images is not known: {error}")
    module.exit_json(changed=False, images=listing.images(cache.directory(module.params["state_dir"]), users))


if __name__ == "__main__":
    main()
