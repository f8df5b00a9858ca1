# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage request. It runs in the controller's process: no secret is written into a module, and no module is started."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils._ahead import build
from ..plugin_utils._cells import cell_problems
from ..plugin_utils._request.entry import image_records
from ..plugin_utils._request.problems import report
from ..plugin_utils._request.requests import flat, known
from ..plugin_utils._request.resolve import request
from ..plugin_utils._request.validate import jsonschema

OPTIONS = (
    "flavors",
    "images",
    "networks",
    "routers",
    "volume_types",
    "volumes",
    "volume_keys",
    "security_groups",
    "server_groups",
    "keypairs",
    "projects",
    "cells",
    "max_attempts",
    "instances",
)

# What is sent to hosts first: packed while the request is checked.
FIRST = ("host_info",)
# What is sent to hosts after they have told what they have: packed while they do.
BOOT = ("claims",)
DELETION = ("domains", "ports", "config_drives", "volumes", "claims")


def with_ready(ready, images):
    """Return the user's images with those that are there without being written; what is no mapping is told later."""
    if images is None or isinstance(images, Mapping):
        return {**(ready or {}), **(images or {})}
    return images


def counted(number):
    """Return a number that came as text, as it does with `-e name=2`, as one; what is none is told later."""
    return int(number) if isinstance(number, str) and number.isdecimal() else number


class ActionModule(ActionBase):
    """Turns what a user wrote into instance records, or into a list of all that is wrong with it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset((*OPTIONS, "existing", "ready_images", "run_id", "tell_images"))

    def run(self, tmp=None, task_vars=None):
        """Return the records, or fail with all that is wrong."""
        result = super().run(tmp, task_vars)
        if jsonschema is None:
            raise AnsibleActionFail("The controller's Python has no jsonschema: run pip install jsonschema there")
        if not self._task.args.get("tell_images"):
            build(self, FIRST, task_vars)
        existing = [flat(one) for one in self._task.args.get("existing") or []]
        variables = {f"virtfleet_{name}": self._task.args.get(name) for name in OPTIONS}
        variables["virtfleet_max_attempts"] = counted(variables["virtfleet_max_attempts"])
        variables["virtfleet_images"] = with_ready(self._task.args.get("ready_images"), self._task.args.get("images"))
        records, problems = request(variables, existing)
        problems = problems or cell_problems(variables["virtfleet_cells"], (task_vars or {}).get("groups") or {})
        if problems:
            return {**result, "failed": True, "changed": False, "msg": report(problems), "instances": []}
        if self._task.args.get("tell_images"):
            told = image_records(variables["virtfleet_images"])
            return {**result, "changed": False, "images": told, "instances": known(records, existing)}
        build(self, DELETION if all(one["state"] == "absent" for one in records) else BOOT, task_vars)
        run_id = self._task.args.get("run_id")
        ovn = any(one["type"] == "ovn" for one in (variables["virtfleet_networks"] or {}).values())
        told = {"ovn": ovn, **({"run_id": str(run_id)} if run_id else {})}
        leaving = [one["uuid"] for one in records if one["state"] == "absent"]
        return {**result, "changed": False, **told, "leaving": leaving, "instances": known(records, existing)}
