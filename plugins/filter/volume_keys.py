# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The passphrases of volumes, apart from their records."""

from __future__ import annotations

DOCUMENTATION = r"""
name: volume_keys
short_description: The passphrases that encrypted volumes need
description:
  - Of all passphrases returns those of some volumes, so that no host gets those of others.
  - Pass the answer to an option with C(no_log) and to nothing else.
positional: keys
options:
  _input:
    description:
      - Volumes with C(name) and, where they are encrypted, C(encryption) and C(key); or instance records with
        C(volumes).
    type: list
    elements: dict
    required: true
  keys:
    description: The variable C(virtfleet_volume_keys).
    type: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Make encrypted volumes
  virtfleet.compute.data_volumes:
    volumes: "{{ volumes }}"
    keys: "{{ volumes | virtfleet.compute.volume_keys(virtfleet_volume_keys) }}"
"""

RETURN = r"""
_value:
  description: The passphrases by their names; empty when no volume is encrypted.
  type: dict
"""

from ..module_utils._model.volume_keys import needed


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"volume_keys": needed}
