# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage placement. It runs on the controller; only where a host did not answer the registry is asked what is on it."""

from __future__ import annotations

import json
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from ..filter.existing import existing
from ..filter.place import place
from ..filter.scheduler_hosts import scheduler_hosts
from ..filter.scheduler_requests import scheduler_requests
from ..module_utils._files import plainly, write_whole
from ..module_utils._model.errors import ItemError
from ..plugin_utils._request.requests import known
from ..plugin_utils._run import fleet, handed_on, run_of
from ..plugin_utils._stage import why
from ..plugin_utils._to_do import leftovers, to_do

REGISTRY = "virtfleet.compute.registry_info"
LOOKUP = "virtfleet.compute.placement"


class ActionModule(ActionBase):
    """Compares the records of the run with what the hosts told, and asks the scheduler once for what is new."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("hosts", "names", "policy", "record", "registry_url"))

    def run(self, tmp=None, task_vars=None):
        """Return the records, each with what is left to do, and new ones with their hosts or why they have none."""
        result, args = super().run(tmp, task_vars), self._task.args
        run, names = run_of(task_vars), args.get("names")
        hosts = fleet(task_vars) if args.get("hosts") is None else args["hosts"]
        if names is None:
            names, nobody = task_vars["groups"].get("compute") or [], silence(hosts)
            if nobody:
                raise AnsibleActionFail(nobody)
        claims = self.claims(names, hosts, task_vars)
        there = existing(hosts, claims)
        records = compare(run.get("instances") or [], hosts, there)
        decision = {}
        if any(one["todo"] == "create" for one in records):
            asked = scheduler_requests(records, there, hosts)
            decision = self.decision(asked, hosts, task_vars)
            records = place(records, decision)
        return {**result, "changed": False, **handed_on({**run, "decision": decision}, records)}

    def claims(self, names, hosts, task_vars):
        """Return the instances of the registry, if one of the hosts did not answer."""
        if not set(names) - {one["name"] for one in hosts if one.get("up")}:
            return []
        args = {"registry_url": self._task.args["registry_url"], "gather": ["instances"], "records": True}
        told = self._execute_module(module_name=REGISTRY, module_args=args, task_vars=task_vars)
        if "instances" not in told:
            raise AnsibleActionFail(why(REGISTRY, told))
        return told["instances"]

    def decision(self, asked, hosts, task_vars):
        """Return the scheduler's decision, kept for replay if that is asked for."""
        lookup = lookup_loader.get(LOOKUP, loader=self._loader, templar=self._templar)
        policy = self._task.args.get("policy") or {}
        (decision,) = lookup.run([asked], task_vars, hosts=scheduler_hosts(hosts), policy=policy)
        if self._task.args.get("record"):
            keep(os.path.abspath(os.path.expanduser(self._task.args["record"])), decision)
        return decision


def keep(path, decision):
    """The file holds the decision, for its owner alone."""
    try:
        with plainly(f"cannot keep the decision in {path}"):
            write_whole(path, json.dumps(decision).encode(), 0o600)
    except ItemError as error:
        raise AnsibleActionFail(str(error)) from error


def silence(hosts):
    """Return why no host answers, or nothing if one does."""
    if any(one.get("up") for one in hosts):
        return ""
    if not hosts:
        return "no host of the inventory's group compute answered, so nothing was done: add one, or see its error above"
    reasons = "; ".join(f"{one['name']}: {one.get('disabled_reason') or 'it is down'}" for one in hosts)
    return f"no compute host answers, so nothing was done: {reasons}"


def compare(records, hosts, there):
    """Return the records with what is left to do for each; `there` is what filter existing returns of the hosts."""
    return to_do(known(records, there), there, leftovers(hosts))
