# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run is over when its process is gone, and only its own controller can say so."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from datetime import datetime

from ansible_collections.virtfleet.compute.plugins.plugin_utils import _runs

NOW = datetime(2026, 1, 31, 10)
CODE = """
import sys, datetime
sys.path[:0] = {path!r}
from ansible_collections.virtfleet.compute.plugins.plugin_utils import _runs
print(_runs.name(datetime.datetime(2026, 1, 31, 10)), flush=True)
sys.stdin.read()
"""


def other_run():
    """Return a process that carries out a run, and the name of the run."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE.format(path=sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


def test_this_run_is_not_over():
    run = _runs.name(NOW)
    assert run.startswith("20260131T100000-") and f"-{os.getpid()}-" in run
    assert run == _runs.name(NOW)
    assert _runs.dead([run]) == []


def test_a_worker_names_the_run_of_its_parent():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_runs.name, [NOW]) == _runs.name(NOW)


def test_a_killed_run_is_over_even_before_its_parent_takes_note():
    process, run = other_run()
    assert _runs.dead([run]) == []
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert _runs.dead([run, run]) == [run]
    process.communicate()
    assert _runs.dead([run]) == [run]


def test_a_process_that_got_the_same_number_later_is_another_run():
    head, _dash, tick = _runs.name(NOW).rpartition("-")
    assert _runs.dead([f"{head}-{int(tick) - 1}"]) == [f"{head}-{int(tick) - 1}"]


def test_nothing_is_said_of_runs_of_others():
    others = ["4711", "20260131T100000-123456", "20260131T100000-00000000-1-1", "run-1", ""]
    assert _runs.dead(others) == []


def test_where_there_is_no_proc_a_run_is_named_all_the_same(tmp_path):
    one, other = (_runs.name(NOW, str(tmp_path)) for _time in range(2))
    assert one != other and _runs.dead([one], str(tmp_path)) == []
