# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes of the catalogue as modules take them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: catalogue_volumes
short_description: The volumes of the catalogue, each with its id, backend and place
description:
  - Takes the variable C(virtfleet_volumes) and returns what M(virtfleet.compute.data_volumes) and
    M(virtfleet.compute.volume_claims) take.
positional: types, names, origin
options:
  _input:
    description: The variable C(virtfleet_volumes).
    type: dict
    required: true
  types:
    description: The variable C(virtfleet_volume_types).
    type: dict
    default: {}
  names:
    description: Only these volumes, with commas between them; V(all) for all.
    type: str
    default: all
  origin:
    description:
      - C(type), the name of the type that they are to leave, and C(location) if a storage server has them. Without
        C(type) those are files on a host.
    type: dict
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: List the volumes
  ansible.builtin.debug:
    msg: "{{ virtfleet_volumes | virtfleet.compute.catalogue_volumes(virtfleet_volume_types) }}"
"""

RETURN = r"""
_value:
  description: The volumes by name; one that is not in the catalogue is refused.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

from ..plugin_utils._request.disks import catalogue_volumes


def chosen(catalogue, types=None, names="all", origin=None):
    """Return the volumes of these names."""
    try:
        return catalogue_volumes(catalogue or {}, types or {}, names, origin)
    except KeyError as error:
        raise AnsibleFilterError(f"{error.args[0]} is not in virtfleet_volumes or virtfleet_volume_types") from error


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"catalogue_volumes": chosen}
