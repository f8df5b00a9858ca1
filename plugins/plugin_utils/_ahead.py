# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building what Ansible sends to hosts while it waits for something else. Private.

Ansible packs a module with all it imports when a run needs it for the first time, which takes a quarter of a second of
the controller for each module, and keeps the package for the rest of the run.
"""

from __future__ import annotations

import os


def build(action, modules, task_vars):
    """Let a process of its own pack the modules; a task that needs one before it is packed packs it itself."""
    if os.fork():
        return
    try:
        # What is packed does not depend on the interpreter, and this is no time to ask a host for it.
        known = {"ansible_python_interpreter": "/usr/bin/python3"}
        delegated = task_vars.get("ansible_delegated_vars") or {}
        delegated = {host: {**told, **known} for host, told in delegated.items()}
        task_vars = {**task_vars, **known, "ansible_delegated_vars": delegated}
        for name in modules:
            action._configure_module(f"virtfleet.compute.{name}", {}, task_vars)
    finally:
        os._exit(0)  # nothing of the process that this one is a copy of may happen twice
