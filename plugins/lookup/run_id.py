# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this run is called."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_id
short_description: A name for this run that no other run has
description:
  - The name says when the run began and which process of which controller it is, so that a later run of the same
    controller can tell that it is over. See M(virtfleet.compute.claims).
  - It is the same as long as it is evaluated once; keep it with M(ansible.builtin.set_fact).
author:
  - The virtfleet.compute authors (@virtfleet)
options: {}
"""

EXAMPLES = r"""
- name: Name this run
  ansible.builtin.set_fact:
    run_id: "{{ lookup('virtfleet.compute.run_id') }}"
"""

RETURN = r"""
_raw:
  description: The name.
  type: list
  elements: str
"""

from datetime import datetime, timezone

from ansible.plugins.lookup import LookupBase

from ..plugin_utils._runs import name


class LookupModule(LookupBase):
    """The lookup of this file."""

    def run(self, terms, variables=None, **kwargs):
        """Return the name as a list of one."""
        return [name(datetime.now(timezone.utc))]
