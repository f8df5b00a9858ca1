# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets of guests, apart from their records."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secrets_of
short_description: The secrets of guests, by uuid
description:
  - Takes instance records, which hold no secrets, and the entries a user wrote.
  - Returns what only the guests may read.
  - Pass the answer to an option with C(no_log) and to nothing else.
positional: instances
options:
  _input:
    description: Instance records, for example those of one host.
    type: list
    elements: dict
    required: true
  instances:
    description: The variable C(virtfleet_instances) as the user wrote it.
    type: list
    elements: dict
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Build the config drives
  virtfleet.compute.config_drives:
    instances: "{{ instances }}"
    secrets: "{{ instances | virtfleet.compute.secrets_of(virtfleet_instances) }}"
"""

RETURN = r"""
_value:
  description: C(user_data), C(vendor_data), C(admin_pass) and C(files) by uuid; guests without any are left out.
  type: dict
"""

from ..plugin_utils._request.requests import secrets_of


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"secrets_of": secrets_of}
