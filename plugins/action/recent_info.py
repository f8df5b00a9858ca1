# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module recent_info, for which the controller keeps the records: little of them is compared."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ..plugin_utils._recent import asked, spared
from ..plugin_utils._run import handed_on, run_of

MODULE = "virtfleet.compute.recent_info"


class ActionModule(ActionBase):
    """Runs the module on the registry host.

    Without instances the task is a stage: it takes the records from `virtfleet_run` and registers them there.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returned, with the records as they are."""
        super().run(tmp, task_vars)
        args = self._task.args
        run, given = run_of(task_vars), args.get("instances")
        records = run.get("instances") or [] if given is None else given
        told = asked(records, run.get("cells"), args.get("cell"))
        result = self._execute_module(module_name=MODULE, module_args={**args, "instances": told}, task_vars=task_vars)
        if "recent" not in result or args.get("cell"):
            return result
        if not result["recent"]:
            return {**result, **handed_on(run, records)}
        if args.get("cells"):
            cells = {one["uuid"]: one["host"] for one in result["instances"]}
            return {**result, **handed_on(run, records, cells=cells)}
        return {**result, **spared(run, records, result["instances"])}
