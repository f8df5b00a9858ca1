# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who hands which image to whom. It runs on the controller, which knows all records and all caches."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ..plugin_utils._image_shares import plan
from ..plugin_utils._run import record_of, run_of


class ActionModule(ActionBase):
    """Reads what the stages before left, and asks nobody."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("records",))

    def run(self, tmp=None, task_vars=None):
        """Return the plan."""
        result = super().run(tmp, task_vars)
        records = self._task.args.get("records")
        if records is None:
            # As it is: templating a hundred records would cost a second.
            records = run_of(task_vars["hostvars"].raw_get("localhost")).get("instances") or []
        fleet = task_vars["groups"].get("compute") or []
        known = {}

        def told(host):
            if host not in known:
                known[host] = record_of(task_vars, host)
            return known[host]

        return {**result, "changed": False, "shares": plan(records, told, task_vars["ansible_play_hosts"], fleet)}
