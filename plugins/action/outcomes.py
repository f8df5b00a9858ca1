# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts did becomes part of the run. It runs on the controller and reads what each host left as it is."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ..filter.busy_hosts import busy_hosts
from ..filter.merge_results import merge_results
from ..filter.to_alternate import to_alternate
from ..plugin_utils._run import handed_on, run_of, what_hosts_did


class ActionModule(ActionBase):
    """Takes over what the hosts did, and says which instances may try again on another host."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("hosts", "max_attempts"))

    def run(self, tmp=None, task_vars=None):
        """Return the records of the run with what became of them."""
        result, args, run = super().run(tmp, task_vars), self._task.args, run_of(task_vars)
        records = run.get("instances") or []
        hosts = busy_hosts(records) if args.get("hosts") is None else args["hosts"]
        if hosts:
            results, lost = what_hosts_did(task_vars, hosts)
            records = merge_results(records, results, lost=lost)
        if args.get("max_attempts") is not None:
            # Every host knows by now what it was to be told of security groups.
            records = to_alternate(records, int(args["max_attempts"]), planned=self._task.check_mode)
            run = {**run, "members": {}}
        return {**result, "changed": False, **handed_on(run, records)}
