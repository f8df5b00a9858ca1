# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module recent_info, for which the controller keeps the records: little of them is compared."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ..module_utils._model.host import POWER_OF_STATE
from ..plugin_utils._request.requests import known
from ..plugin_utils._run import handed_on, run_of

MODULE = "virtfleet.compute.recent_info"
COMPARED = ("uuid", "name", "state", "spec_digest")


class ActionModule(ActionBase):
    """Runs the module on the registry host.

    Without instances the task is a stage: it takes the records from `virtfleet_run` and registers them there.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returned, with the records as they are."""
        super().run(tmp, task_vars)
        run, given = run_of(task_vars), self._task.args.get("instances")
        records = run.get("instances") or [] if given is None else given
        asked = [{key: one.get(key) for key in COMPARED} for one in records]
        result = self._execute_module(
            module_name=MODULE, module_args={**self._task.args, "instances": asked}, task_vars=task_vars
        )
        if "recent" not in result:
            return result
        if not result["recent"]:
            return {**result, **handed_on(run, records)}
        return {**result, **handed_on({**run, "unsettled": False}, as_they_are(records, result["instances"]))}


def as_they_are(records, found):
    """Return the records of a run that has nothing to do, those that are there with their host, age and addresses."""
    there = {one["uuid"] for one in found}
    return [
        {**one, "failed": False, "existing": one["uuid"] in there, "todo": "none", **power(one, there)}
        for one in known(records, found)
    ]


def power(record, there):
    """Return the power state of an instance that is there."""
    return {"power_state": POWER_OF_STATE[record["state"]]} if record["uuid"] in there else {}
