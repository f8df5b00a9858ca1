# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is called, and whether a run of this controller is over. Private to this collection.

The name of a run tells which process of which controller it is: 20260131T100000-3f2a9c1e-4711-918273 is process 4711,
which began at tick 918273, where the digest of boot and process namespace is 3f2a9c1e. A controller that is not this
one, or has been booted again, gives another digest, and of its runs nothing can be said.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import secrets
from collections.abc import Iterable
from datetime import datetime

NAME = re.compile(r"\d{8}T\d{6}-([0-9a-f]{8})-(\d+)-(\d+)")


def controller(proc: str = "/proc") -> str:
    """Return what tells this controller, since it was booted, from all others; empty where there is no /proc."""
    try:
        with open(f"{proc}/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return hashlib.sha256(f"{boot} {os.readlink(f'{proc}/self/ns/pid')}".encode()).hexdigest()[:8]
    except OSError:
        return ""


def began(pid: int, proc: str = "/proc") -> int | None:
    """Return the tick at which a process began, None when there is no such process or it is dead and not yet reaped."""
    try:
        with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(fields[18])


def name(now: datetime, proc: str = "/proc") -> str:
    """Return the name of the run that this process, or the one it is a worker of, carries out."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent else os.getpid()
    here, tick = controller(proc), began(pid, proc)
    told = f"{here}-{pid}-{tick}" if here and tick is not None else secrets.token_hex(8)
    return f"{now:%Y%m%dT%H%M%S}-{told}"


def dead(runs: Iterable[str], proc: str = "/proc") -> list[str]:
    """Return those of the runs that were carried out by this controller and are over, each once."""
    here, over = controller(proc), []
    for run in dict.fromkeys(runs):
        told = NAME.fullmatch(run)
        if told and here and told[1] == here and began(int(told[2]), proc) != int(told[3]):
            over.append(run)
    return over
