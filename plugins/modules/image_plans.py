#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_plans
short_description: Plan which hosts hand an image to others, so that it is fetched into the fleet once
description:
  - For each image that a host of the play lacks, the hosts that have it. When none has it and two hosts or more lack
    it, the first of them by name fetches it and then hands it to the others.
  - Images from C(file) URLs are left out, since each host sees its own files, unless they name the C(host) that has
    them.
  - It runs on the controller and asks nobody. What the hosts have is what M(virtfleet.compute.host_info) told, in the
    variable C(virtfleet_host_info.host) of each host of group C(compute).
extends_documentation_fragment:
  - virtfleet.compute.controller
options:
  records:
    description: Records with C(host) and C(image). Default are the instance records of the run.
    type: list
    elements: dict
seealso:
  - module: virtfleet.compute.image_shares
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Plan who hands which image to whom
  virtfleet.compute.image_plans:
  register: plan
  run_once: true
"""

RETURN = r"""
shares:
  description: One entry for each image that is handed over.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The image, by the name of its record in the caches.
      type: str
    holders:
      description: Hosts that have it, at most three.
      type: list
      elements: str
      sample: [kvm1]
    seed:
      description: The host that fetches it first; empty when one has it already.
      type: str
      sample: kvm1
    origin:
      description: The only host that can read the file, which takes it into its cache first.
      type: str
      returned: for such an image that no host has in its cache
      sample: kvm1
    image:
      description: That image as M(virtfleet.compute.images) takes it.
      type: dict
      returned: for such an image that no host has in its cache
"""
