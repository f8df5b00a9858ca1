# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run has claims that it has not settled yet."""

from __future__ import annotations

DOCUMENTATION = r"""
name: held_claims
short_description: The registries in which a run has claims that are not settled, each with their instances
description:
  - Without cells that is the registry. With cells it is the top one and those of the cells.
  - A registry in which it has none is left out.
positional: registry_url, registry_host, cells
options:
  _input:
    description: Instance records of the whole run.
    type: list
    elements: dict
    required: true
  registry_url:
    description: The registry, of a fleet of cells the top one.
    type: str
    required: true
  registry_host:
    description: The host on which it is reached.
    type: str
    required: true
  cells:
    description: The cells, as P(virtfleet.compute.leaf_cells#filter) tells them.
    type: list
    elements: dict
    default: []
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show where the claims of this run are
  ansible.builtin.debug:
    msg: "{{ records | virtfleet.compute.held_claims('sqlite:////var/lib/virtfleet/registry/registry.db', 'kvm1') }}"
"""

RETURN = r"""
_value:
  description: The registries, each with C(registry_url), C(registry_host) and C(instances).
  type: list
  elements: dict
"""

HELD = ("claimed", "changing")


def held_claims(records, registry_url, registry_host, cells=()):
    """Return the registries in which the run has claims that are not settled, each with their instances."""
    first = {"registry_url": registry_url, "registry_host": registry_host}
    if not cells:
        return with_instances(first, [one for one in records if one.get("claim_state") in HELD])
    told = with_instances(first, [one for one in records if one.get("cell_claim") in HELD])
    for cell in cells:
        own = [one for one in records if one.get("cell") == cell["name"] and one.get("claim_state") in HELD]
        told += with_instances({key: cell[key] for key in first}, own)
    return told


def with_instances(registry, instances):
    """Return the registry with what the run has in it, if it has something; a lease needs no more than the identity."""
    short = [{key: one.get(key) for key in ("name", "uuid", "project")} for one in instances]
    return [{**registry, "instances": short}] if short else []


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"held_claims": held_claims}
