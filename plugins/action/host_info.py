# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_info, and what only the controller knows: that a host cannot be asked.

The record is made here and not by a filter of the role: each worker, one a host, would load all filters for it.
"""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils._model.host import down
from ..plugin_utils._ahead import wait
from ..plugin_utils._stage import why


class ActionModule(ActionBase):
    """Runs the module; a host that cannot be asked has a record that says so, and is left out with a warning."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returned, or the record of a host that is down."""
        super().run(tmp, task_vars)
        args = self._task.args
        wait("host_info")
        try:
            result = self._execute_module(task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            result = left_out(args, cut_off(str(error)))
        else:
            if result.get("unreachable"):
                result = left_out(args, cut_off(str(result.get("msg"))))
            elif "host" not in result and "name" in args:
                result = left_out(args, why(self._task.action, result))
        return result


def cut_off(said):
    """Return why a host was not reached."""
    return f"it cannot be reached: {said.strip().removeprefix('Task failed: ') or 'no reason was given'}"


def left_out(args, reason):
    """Return the result for a host that could not be asked."""
    record = {**down(args["name"], "", reason), **(args.get("settings") or {})}
    return {"changed": False, "host": record, "warnings": [f"{args['name']} is left out, {reason}"]}
