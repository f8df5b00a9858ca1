# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module claims, and what only the controller knows: which runs that hold a claim were killed here."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ..plugin_utils._ahead import build
from ..plugin_utils._runs import dead

MODULE = "virtfleet.compute.claims"
IDLE = ("none", "wait")
# What hosts are sent next when there is something to build: packed while the registry works.
NEXT = ("images", "volumes", "config_drives", "ports", "domains")


class ActionModule(ActionBase):
    """Runs the module on the registry host, and once more where dead runs of this controller are in the way."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returned."""
        super().run(tmp, task_vars)
        args = self._task.args
        instances = args.get("instances") or []
        if any(one.get("todo") == "create" for one in instances):
            build(self, NEXT, task_vars)
        busy = any(one.get("todo", "none") not in IDLE for one in instances)
        return {**self.claimed(args, task_vars), "busy": busy}

    def claimed(self, args, task_vars):
        """Return what the module returned in the end."""
        result = self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars)
        over = dead(one["held_by"] for one in result.get("instances") or [] if one.get("held_by"))
        if not over:
            return result
        takeover = [*(args.get("takeover") or []), *over]
        again = self._execute_module(
            module_name=MODULE, module_args={**args, "takeover": takeover}, task_vars=task_vars
        )
        return again if self._task.check_mode else added(result, again)


def added(first, again):
    """Return the second result with what the first one changed already."""
    changed = {one["uuid"] for one in first["instances"] if one["changed"]}
    told = [{**one, "changed": one["changed"] or one["uuid"] in changed} for one in again.get("instances") or []]
    return {
        **again,
        "changed": first["changed"] or again.get("changed", False),
        "diff": [*(first.get("diff") or []), *(again.get("diff") or [])],
        **({"instances": told} if told else {}),
    }
