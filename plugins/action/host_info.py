# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_info, and what only the controller knows: that a host cannot be asked.

The record is made here and not by a filter of the role: each worker, one a host, would load all filters for it.
"""

from __future__ import annotations

import ipaddress
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils._model.host import down
from ..plugin_utils._ahead import wait
from ..plugin_utils._run import run_of
from ..plugin_utils._stage import why

OPTIONS = ("virt_type", "host_ip", "state_dir", "run_dir", "whole", "packed", "uri")
OF_THE_FLEET = ("virt_type", "state_dir", "run_dir")
SETTINGS = (
    "cpu_allocation_ratio",
    "ram_allocation_ratio",
    "disk_allocation_ratio",
    "reserved_vcpus",
    "reserved_memory_mb",
    "reserved_disk_gb",
    "availability_zone",
    "enabled",
    "labels",
    "aggregates",
    "traits",
)


class ActionModule(ActionBase):
    """Runs the module; a host that cannot be asked has a record that says so, and is left out with a warning."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return what the module returned, or the record of a host that is down."""
        super().run(tmp, task_vars)
        args = self.arguments(self._task.args, task_vars)
        wait("host_info")
        try:
            result = self._execute_module(module_args=args, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            result = left_out(args, cut_off(str(error)))
        else:
            if result.get("unreachable"):
                result = left_out(args, cut_off(str(result.get("msg"))))
            elif "host" not in result:
                result = left_out(args, why(self._task.action, result))
        return result

    def arguments(self, args, task_vars):
        """Return the arguments of the module, those that are not given taken from variables if the task says so.

        Most of these variables are no templates: as arguments of the task each would be one, compiled once a host.
        """
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        known = {"name": task_vars["inventory_hostname"], "updated_at": now}
        begin = args.get("variables")
        if begin:
            known["host_ip"] = address(self._templar.template(task_vars.get("ansible_host") or ""))
            known.update(self.read("virtfleet_", OF_THE_FLEET, task_vars))
            known.update(self.read(begin, OPTIONS, task_vars))
            known["settings"] = self.read(begin, SETTINGS, task_vars)
            if "whole" not in known:
                controller = task_vars["hostvars"].raw_get("localhost") if "localhost" in task_vars["hostvars"] else {}
                known["whole"] = run_of(controller).get("leaving") or []
        given = {key: value for key, value in args.items() if key != "variables" and value is not None}
        return {**known, **given}

    def read(self, begin, names, task_vars):
        """Return what the variables with these names say, each with the same beginning."""
        return {name: self._templar.template(task_vars[begin + name]) for name in names if begin + name in task_vars}


def address(where):
    """Return where a host is reached if that is an address, as other hosts need it, and not a name."""
    try:
        return str(ipaddress.ip_address(where))
    except ValueError:
        return ""


def cut_off(said):
    """Return why a host was not reached."""
    return f"it cannot be reached: {said.strip().removeprefix('Task failed: ') or 'no reason was given'}"


def left_out(args, reason):
    """Return the result for a host that could not be asked."""
    record = {**down(args["name"], "", reason), **(args.get("settings") or {})}
    return {"changed": False, "host": record, "warnings": [f"{args['name']} is left out, {reason}"]}
