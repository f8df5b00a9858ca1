# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User data of several parts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: multipart
short_description: Texts of user data as one
description:
  - Puts several texts, each of a kind that cloud-init knows, into one MIME message for C(user_data).
  - The same texts always give the same message, so that a second run sees no change.
options:
  _input:
    description:
      - The texts. Each begins with what it is, for example C(#cloud-config), C(#!) or C(#cloud-boothook).
    type: list
    elements: str
    required: true
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: A cloud-config and a script
  ansible.builtin.set_fact:
    virtfleet_instances:
      - name: web
        flavor: m1.small
        image: debian-12
        user_data: "{{ [lookup('file', 'base.yml'), lookup('file', 'web.sh')] | virtfleet.compute.multipart }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
"""

from ansible.errors import AnsibleFilterError

from ..plugin_utils._request import user_data


def multipart(texts):
    """Return the texts as one message."""
    try:
        return user_data.multipart([str(text) for text in texts])
    except user_data.NotUsable as error:
        raise AnsibleFilterError(f"virtfleet.compute.multipart: {error}") from error


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"multipart": multipart}
