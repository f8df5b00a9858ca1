# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who hands which image to whom."""

from __future__ import annotations

DOCUMENTATION = r"""
name: image_shares
short_description: Which hosts hand an image to others, so that it is fetched into the fleet once
description:
  - For each image that a host of the run lacks, the hosts that have it. When none has it and two hosts or more lack
    it, the first of them by name fetches it and then hands it to the others.
  - Images from C(file) URLs are left out, since each host sees its own files.
positional: told, hosts
options:
  _input:
    description: Records, each with C(host) and C(image), as instance records have them.
    type: list
    elements: dict
    required: true
  told:
    description: Host records, as M(virtfleet.compute.host_info) returns them.
    type: list
    elements: dict
    required: true
  hosts:
    description: The hosts that take part.
    type: list
    elements: str
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Plan who hands which image to whom
  ansible.builtin.set_fact:
    shares: "{{ instances | virtfleet.compute.image_shares(host_records, ansible_play_hosts) }}"
"""

RETURN = r"""
_value:
  description: One entry for each image that is handed over.
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
    seed:
      description: The host that fetches it first; empty when one has it already.
      type: str
"""

from ..module_utils._images.image import shared_id

MOST_HOLDERS = 3


def image_shares(records, told, hosts):
    """Return who hands which image to whom."""
    caches = {one["name"]: set((one.get("extra") or {}).get("image_cache") or ()) for one in told if one.get("up")}
    lacking = {}
    for host, identity in dict.fromkeys(wanted(records, set(hosts))):
        if f"{identity}.json" not in caches.get(host, ()):
            lacking.setdefault(identity, []).append(host)
    shares = []
    for identity, lack in sorted(lacking.items()):
        holders = sorted(host for host, files in caches.items() if f"{identity}.json" in files)
        if holders or len(lack) > 1:
            seed = "" if holders else min(lack)
            shares.append({"id": identity, "holders": holders[:MOST_HOLDERS] or [seed], "seed": seed})
    return shares


def wanted(records, hosts):
    """Yield the host and the image of each record that asks a server for one."""
    known = {}
    for record in records:
        image = record.get("image")
        if not image or record.get("host") not in hosts or record.get("failed"):
            continue
        key = (str(image.get("url")), str(image.get("checksum")), str(image.get("disk_format")))
        if key not in known:
            known[key] = shared_id(image)
        if known[key]:
            yield record["host"], known[key]


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"image_shares": image_shares}
