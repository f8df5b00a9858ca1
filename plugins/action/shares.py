# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage share: what of the run is this host's. It runs on the controller and reads the run as localhost left it."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ..filter.of_host import of_host
from ..plugin_utils._run import run_of


class ActionModule(ActionBase):
    """Leaves the records of the host where its stages look for them, and notes that it has not come to the end."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("instances",))

    def run(self, tmp=None, task_vars=None):
        """Return the records of this host that have something left to do."""
        result, records = super().run(tmp, task_vars), self._task.args.get("instances")
        if records is None:
            records = run_of(task_vars["hostvars"].raw_get("localhost")).get("instances") or []
        here = of_host(records, task_vars["inventory_hostname"])
        return {**result, "changed": False, "instances": here, "ansible_facts": {"virtfleet_undo_done": False}}
