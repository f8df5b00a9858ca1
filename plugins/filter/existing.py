# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of a fleet as one list."""

from __future__ import annotations

DOCUMENTATION = r"""
name: existing
short_description: What all hosts told about their instances, as one list
description:
  - Each entry is what M(virtfleet.compute.host_info) told about a domain, and C(host), where it is.
  - An instance of the registry on a host that did not answer is there too, as far as anyone knows; its C(state) is
    C(unknown).
positional: claims
options:
  _input:
    description: Host records.
    type: list
    elements: dict
    required: true
  claims:
    description: The instances of the registry with their records, as M(virtfleet.compute.registry_info) has them.
    type: list
    elements: dict
    default: []
author:
  - The virtfleet.compute authors
"""

EXAMPLES = r"""
- name: Collect what is there
  ansible.builtin.set_fact:
    existing: "{{ hosts | virtfleet.compute.existing }}"
"""

RETURN = r"""
_value:
  description: The instances, host by host.
  type: list
  elements: dict
"""

from ..module_utils._model.host import unpacked


def existing(hosts, claims=()):
    """Return the instances of all hosts, each with the name of its host."""
    told = [{**one, "host": host["name"]} for host in hosts for one in unpacked(host)]
    seen = {one.get("uuid") for one in told}
    answered = {host["name"] for host in hosts if host.get("up", True)}
    return told + [unknown(one) for one in claims if one["uuid"] not in seen and one["host"] not in answered]


def unknown(claim):
    """Return what there is to tell of an instance whose host did not answer."""
    found = {key: claim[key] for key in ("uuid", "name", "host", "record")}
    digest = claim["record"].get("spec_digest")
    return {**found, "ours": True, "state": "unknown", "settled": claim["state"] == "active", "spec_digest": digest}


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"existing": existing}
