# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building what Ansible sends to hosts while it waits for something else. Private.

Ansible packs a module with all it imports when a run needs it for the first time, which takes a quarter of a second of
the controller for each module, and keeps the package for the rest of the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from ansible import constants


def build(action, modules, task_vars):
    """Let a process of its own pack the modules, in this order; `wait` knows when one is packed."""
    locks = {name: lock(name, os.O_CREAT) for name in modules}
    for one in locks.values():
        fcntl.flock(one, fcntl.LOCK_EX)
    if os.fork():
        for one in locks.values():
            os.close(one)  # and the other process, which has it too, holds what it locks
        return
    try:
        # What is packed does not depend on the interpreter, and this is no time to ask a host for it.
        known = {"ansible_python_interpreter": "/usr/bin/python3"}
        delegated = task_vars.get("ansible_delegated_vars") or {}
        delegated = {host: {**told, **known} for host, told in delegated.items()}
        task_vars = {**task_vars, **known, "ansible_delegated_vars": delegated}
        for name, one in locks.items():
            action._configure_module(f"virtfleet.compute.{name}", {}, task_vars)
            os.close(one)
    finally:
        os._exit(0)  # nothing of the process that this one is a copy of may happen twice


def wait(name):
    """Return when nobody packs the module any more; a task that needs one that nobody packed packs it itself."""
    with contextlib.suppress(FileNotFoundError):
        one = lock(name)
        fcntl.flock(one, fcntl.LOCK_SH)
        os.close(one)


def lock(name, flags=0):
    """Return the open file whose lock is held while a module is packed; it ends with the run."""
    return os.open(os.path.join(constants.DEFAULT_LOCAL_TMP, f"virtfleet_{name}.lock"), os.O_RDWR | flags, 0o600)
