# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a run is a host's, and that the host came to the end of it. It runs on the controller."""

from __future__ import annotations

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..filter.of_host import of_host
from ..plugin_utils._run import run_of
from ..plugin_utils._stage import HERE


class ActionModule(ActionBase):
    """Leaves the records of the host where its stages look for them, or notes there that no stage is left."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("ended", "instances"))

    def run(self, tmp=None, task_vars=None):
        """Return the records of this host that have something left to do."""
        result, records = super().run(tmp, task_vars), self._task.args.get("instances")
        if boolean(self._task.args.get("ended", False)):
            here = task_vars.get(HERE) or {}
            return {**result, "changed": False, "instances": here.get("instances") or [], "ended": True}
        if records is None:
            records = run_of(task_vars["hostvars"].raw_get("localhost")).get("instances") or []
        here = of_host(records, task_vars["inventory_hostname"], waiting=self._task.check_mode)
        return {**result, "changed": False, "instances": here}
