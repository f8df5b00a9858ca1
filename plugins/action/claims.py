# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module claims, and what only the controller knows: the records of the run, and which runs were killed here."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase
from ansible.utils.vars import merge_hash

from ..filter.merge_results import merge_results
from ..plugin_utils._ahead import build, wait
from ..plugin_utils._run import fleet, handed_on, run_of
from ..plugin_utils._runs import dead
from ..plugin_utils._stage import why

MODULE = "virtfleet.compute.claims"
# What hosts are sent next when there is something to build: packed while the registry works.
NEXT = ("images", "volumes", "config_drives", "ports", "domains")
LEASE = 900
IDLE = ("none", "wait")
# Of which records of a run each state speaks if the task does not name them.
CHOSEN = {
    "present": lambda one: one["state"] != "absent" and not one.get("failed") and one.get("todo") != "wait",
    "active": lambda one: one.get("claim_state", "active") != "active",
    "absent": lambda one: one["state"] == "absent" and not one.get("failed"),
}


class ActionModule(ActionBase):
    """Runs the module on the registry host, and once more where dead runs of this controller are in the way.

    Without the name of a run the task is a stage: it takes the records from `virtfleet_run` and registers them there.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returned, as a stage its instances among all records of the run."""
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        if "run" in args:
            return self.claimed(args, task_vars)
        run, state = run_of(task_vars), args.get("state", "present")
        asked = args.get("instances")
        if asked is None:
            asked = [one for one in run.get("instances") or [] if CHOSEN[state](one)]
        if not asked or (state == "active" and self._task.check_mode):
            gone = {"members": {}} if state == "absent" else {}
            return {"changed": False, "skipped": True, **handed_on({**run, **gone}, run.get("instances") or [])}
        if any(one.get("todo") == "create" for one in asked):
            build(self, NEXT, task_vars)
        result = self.claimed({**self.known(args, run, task_vars), "instances": asked}, task_vars)
        told = result.get("instances")
        if told is None:
            return result
        if not self._task.diff:
            result.pop("diff", None)
        records = merge_results(run["instances"], [told]) if has_a_say(asked, result) else run["instances"]
        return {
            **result,
            **handed_on(kept(run, result, args, task_vars), records),
            "asked": [one["uuid"] for one in asked],
        }

    def known(self, args, run, task_vars):
        """Return what the module is told of the run and of its hosts, as far as the task does not say it."""
        state, told = args.get("state", "present"), {"run": run["run_id"]}
        if state == "present":
            hosts = fleet(task_vars) if args.get("hosts") is None else args["hosts"]
            told["hosts"] = hosts
            told["group_members"] = {
                one["name"]: (one.get("extra") or {}).get("group_members") or {} for one in hosts if one.get("up")
            }
            told["leaving"] = [one["uuid"] for one in run["instances"] if one["state"] == "absent"]
        if state == "absent":
            told["hosts"] = [one for one in fleet(task_vars) if not one.get("up")]
        return {**told, **{key: value for key, value in args.items() if value is not None}}

    def claimed(self, args, task_vars):
        """Return what the module returned in the end."""
        wait("claims")
        result = self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars)
        if result.get("instances") is None and "module_stdout" in result:
            return {**result, "failed": True, "msg": why(MODULE, result)}
        over = dead(one["held_by"] for one in result.get("instances") or [] if one.get("held_by"))
        if not over:
            return result
        takeover = [*(args.get("takeover") or []), *over]
        again = self._execute_module(
            module_name=MODULE, module_args={**args, "takeover": takeover}, task_vars=task_vars
        )
        return again if self._task.check_mode else added(result, again)


def has_a_say(asked, result):
    """Say whether the registry has the last word on where instances are: it has when there is something to do."""
    news = result.get("changed") or result.get("failed") or result.get("group_members")
    return bool(news) or any(one.get("todo", "none") not in IDLE for one in asked)


def kept(run, result, args, task_vars):
    """Return what a run knows after a task beside its records: whom to tell of groups, and when to renew its claims.

    They are due when a third of the lease of the oldest of them is over.
    """
    members, state = result.get("group_members") or {}, args.get("state", "present")
    if state == "absent":
        return {**run, "members": members}
    if state == "active":
        return run
    left = any(map(CHOSEN["active"], result["instances"])) or any(map(CHOSEN["absent"], run["instances"]))
    due = task_vars.get("virtfleet_lease_due") or run.get("lease_due")
    new = int(time.time()) + int(args.get("lease") or LEASE) // 3
    return {
        **run,
        "unsettled": run.get("unsettled") or left,
        "members": merge_hash(run.get("members") or {}, members),
        "lease_due": min(int(due), new) if due else new,
    }


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
