#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_shares
short_description: Hand cached images to other hosts for a while
description:
  - Starts a small web server on the host that serves the given images of its cache, and nothing else, at addresses
    that cannot be guessed. It runs as nobody and ends by itself when nobody has asked for O(idle) seconds.
  - The transfer is not encrypted. Its receivers compare what they get with the digest that is returned here.
  - An image that is not in the cache, or is not as it was left, is left out.
author: The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    description: Starts nothing and returns nothing.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  ids:
    description: The images, by the names of their records, as M(virtfleet.compute.images_info) tells.
    type: list
    elements: str
    required: true
  address:
    description: The address of the host that the others reach.
    type: str
    required: true
  port:
    description: The port; V(0) is any free one. A packet filter between the hosts must let it through.
    type: int
    default: 0
  idle:
    description: Seconds after the last transfer when it ends.
    type: int
    default: 120
  state_dir:
    description: Where the host keeps what it has; the cache is its directory C(images).
    type: path
    default: /var/lib/virtfleet
seealso:
  - module: virtfleet.compute.images
"""

EXAMPLES = r"""
- name: Hand an image to the other hosts
  virtfleet.compute.image_shares:
    ids: [0f3d2f1a8c4b7e6d5a9b8c7d6e5f4a3b]
    address: 192.0.2.11
  register: shared
  no_log: true # who knows the address can read the image
"""

RETURN = r"""
image_shares:
  description: The images that are served.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The image.
      type: str
    url:
      description: Where it is to be had for now. Secret.
      type: str
    checksum:
      description: The digest of the file.
      type: str
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._images import cache, records, share


def sound(images, identity):
    """Return the record of an image that may be handed over."""
    base = records.load(images, identity) if re.fullmatch("[0-9a-f]{32}", identity) else None
    return base if base and records.unaltered(images, base) else None


def main():
    module = AnsibleModule(
        argument_spec={
            "ids": {"type": "list", "elements": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 0},
            "idle": {"type": "int", "default": 120},
            "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
        },
        supports_check_mode=True,
    )
    params = module.params
    images = cache.directory(params["state_dir"])
    found = {identity: sound(images, identity) for identity in params["ids"]}
    bases = {identity: base for identity, base in found.items() if base}
    if module.check_mode or not bases:
        module.exit_json(changed=False, image_shares=[])
    files = {identity: (cache.path(images, base), base.checksum) for identity, base in bases.items()}
    try:
        urls = share.start(files, params["address"], params["port"], params["idle"])
    except OSError as error:
        module.fail_json(msg=f"cannot serve images at {params['address']}: {error.strerror or error}", image_shares=[])
    shares = [{"id": one, "url": urls[one], "checksum": bases[one].checksum} for one in bases]
    module.exit_json(changed=False, image_shares=shares)


if __name__ == "__main__":
    main()
