# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see of a run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
type: stdout
short_description: One line for each stage of the pipeline
description:
  - Without C(-v) a play of this collection prints a line for each stage, what it waits for, what failed and why,
    the recap, and at last the table of instances and the time it took.
  - A task that runs long is not silent, it prints a line every O(heartbeat) seconds.
  - With C(-v) and more, and for all other plays, the output is that of P(ansible.builtin.default#callback).
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  heartbeat:
    description: Seconds between two lines about a task that still runs; V(0) for none.
    type: float
    default: 10
    ini:
      - section: callback_fleet
        key: heartbeat
    env:
      - name: VIRTFLEET_HEARTBEAT
requirements:
  - set as stdout_callback in ansible.cfg
author:
  - The virtfleet.compute authors (@virtfleet)
"""

import atexit
import threading
import time
from pathlib import Path

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as DefaultCallback

from ..plugin_utils._progress import Stage, failures, key_of, sentence

COLLECTION = "virtfleet.compute"
PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
# They hand records on between the controller and a host, which is no news.
HANDING_ON = (f"{COLLECTION}.shares", f"{COLLECTION}.outcomes")
DEBUG = ("debug", "ansible.builtin.debug", "ansible.legacy.debug")


class CallbackModule(DefaultCallback):
    """The default output with -v and for plays that are not ours; else a line for each stage."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "virtfleet.compute.fleet"

    def __init__(self):
        super().__init__()
        self._began = time.monotonic()
        self._said = self._began
        self._playbook = ""
        self._ours = False
        self._any_ours = False
        self._stage = None
        self._failed = set()
        self._progress = ""
        self._table = []
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._heart = None

    # What is ours, and saying something

    @property
    def _compact(self):
        return self._ours and self._display.verbosity == 0

    def _is_ours(self, play):
        """Tell whether the play is one of this collection or uses its roles or modules."""
        if PLAYBOOKS in Path(self._playbook).resolve().parents:
            return True
        if any(getattr(role, "_role_collection", None) == COLLECTION for role in play.get_roles()):
            return True
        tasks = list(play.get_tasks())
        while tasks:
            one = tasks.pop()
            if isinstance(one, list):
                tasks += one
            elif f"{one.action} {one.args.get('name', '')}".find(f"{COLLECTION}.") >= 0:
                return True
        return False

    def _say(self, text, color=None, stderr=False):
        self._said = time.monotonic()
        self._display.display(text, color=color, stderr=stderr)

    def _say_failure(self, result, text):
        stage = f" {self._stage.name}" if self._stage and self._stage.name else ""
        # What the controller says before a module ran on the host that a task is delegated to is not of that host.
        asked = result.result.get("unreachable") or {"invocation", "module_stdout"} & set(result.result)
        label = self.host_label(result) if asked else result.host.get_name()
        self._say(f"{label}{stage}: {text}", C.COLOR_ERROR, self.get_option("display_failed_stderr"))

    # Stages

    def _close_stage(self):
        """Print how the stage ended, with the instances that failed in it."""
        with self._guard:
            stage, self._stage = self._stage, None
        if stage is None:
            return
        text = stage.line(time.monotonic()) if stage.name else ""
        if text:
            calm = C.COLOR_CHANGED if stage.changed else C.COLOR_OK
            self._say(text, C.COLOR_ERROR if stage.failed else calm)
        for line in failures(stage.failed):
            self._say(line, C.COLOR_ERROR)
        self._failed |= {key_of(one) for one in stage.failed}

    def _start_task(self, task):
        """Begin a stage where the task is the first of another role."""
        role = getattr(task, "_role", None)
        name = role.get_name(include_role_fqcn=False).split(".")[-1] if role else ""
        if self._stage is None or self._stage.name != name:
            self._close_stage()
            with self._guard:
                self._stage = Stage(name, time.monotonic(), told=set(self._failed))
        with self._guard:
            self._stage.running.clear()
            self._stage.task = task.get_name().strip()

    def _finish(self, result, done=True):
        """Take note of what a task did, or did not do, on a host; return its result without what is shown already."""
        self._handle_warnings(result.result)
        with self._guard:
            if self._stage:
                self._stage.running.pop(result.host.get_name(), None)
                silent = result.task.action in HANDING_ON
                if done and not silent and result.task.action.startswith(f"{COLLECTION}."):
                    self._stage.hosts.add(result.host.get_name())
                if not silent:
                    self._stage.note(result.host.get_name(), result.result)
        table = result.result.get("virtfleet_table") or (result.result.get("ansible_facts") or {}).get(
            "virtfleet_table"
        )
        if table:
            self._table = table.splitlines() if isinstance(table, str) else list(table)
        return result.result

    def _beat(self, every):
        """Print a line about a task that runs long, until the run is over."""
        while not self._over.wait(min(1.0, every)):
            now = time.monotonic()
            with self._guard:
                text = self._stage.heartbeat(now) if self._stage else ""
                is_long = bool(text) and now - min(self._stage.running.values()) >= every
            if is_long and now - self._said >= every and not self._over.is_set():
                self._say(text)

    def _start_heart(self):
        every = self.get_option("heartbeat")
        if self._heart is None and every > 0:
            self._heart = threading.Thread(target=self._beat, args=(every,), daemon=True)
            self._heart.start()
            atexit.register(self._stop_heart)

    def _stop_heart(self):
        """No thread of ours prints from here on: the interpreter is about to close the terminal."""
        self._over.set()
        if self._heart is not None:
            self._heart.join(2)

    # The events

    def v2_playbook_on_start(self, playbook):
        self._playbook = playbook._file_name or ""
        super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play):
        self._close_stage()
        self._ours = self._is_ours(play)
        self._any_ours = self._any_ours or self._ours
        if not self._compact:
            return super().v2_playbook_on_play_start(play)
        self._play = play
        self._start_heart()

    def v2_playbook_on_no_hosts_matched(self):
        if not self._compact:
            return super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_task_start(self, task, is_conditional):
        if not self._compact:
            return super().v2_playbook_on_task_start(task, is_conditional)
        self._last_task_name = task.get_name().strip()
        self._start_task(task)

    def v2_playbook_on_handler_task_start(self, task):
        if not self._compact:
            return super().v2_playbook_on_handler_task_start(task)
        self._last_task_name = task.get_name().strip()
        self._start_task(task)

    def v2_playbook_on_cleanup_task_start(self, task):
        if not self._compact:
            return super().v2_playbook_on_cleanup_task_start(task)
        self._start_task(task)

    def v2_runner_on_start(self, host, task):
        if not self._compact:
            return super().v2_runner_on_start(host, task)
        with self._guard:
            if self._stage:
                self._stage.running[host.get_name()] = time.monotonic()

    def v2_runner_on_ok(self, result):
        if not self._compact:
            return super().v2_runner_on_ok(result)
        told = self._finish(result)
        if result.task.action in DEBUG and not result.task.loop:
            shown = told.get("msg", {key: value for key, value in told.items() if not key.startswith("_")})
            self._say("\n".join(map(str, shown)) if isinstance(shown, list) else str(shown), C.COLOR_DEBUG)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not self._compact:
            return super().v2_runner_on_failed(result, ignore_errors)
        told = self._finish(result, done=False)
        is_loop = result.task.loop and "results" in told
        if not ignore_errors and not is_loop:
            self._say_failure(result, sentence(told))

    def v2_runner_on_skipped(self, result):
        if not self._compact:
            return super().v2_runner_on_skipped(result)
        self._handle_warnings(result.result)
        with self._guard:
            if self._stage:
                self._stage.running.pop(result.host.get_name(), None)

    def v2_runner_on_unreachable(self, result):
        if not self._compact:
            return super().v2_runner_on_unreachable(result)
        why = f"cannot be reached: {sentence(self._finish(result, done=False))}"
        if result.task.ignore_unreachable:
            self._display.warning(f"{self.host_label(result)} is left out, it {why}")
        else:
            self._say_failure(result, why)

    def v2_runner_item_on_ok(self, result):
        if not self._compact:
            return super().v2_runner_item_on_ok(result)
        self._handle_warnings(result.result)
        if result.task.action in DEBUG and "msg" in result.result:
            self._say(str(result.result["msg"]), C.COLOR_DEBUG)

    def v2_runner_item_on_failed(self, result):
        if not self._compact:
            return super().v2_runner_item_on_failed(result)
        self._handle_warnings(result.result)
        if not result.task.ignore_errors:
            self._say_failure(result, f"{self._get_item_label(result.result)}: {sentence(result.result)}")

    def v2_runner_item_on_skipped(self, result):
        if not self._compact:
            return super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result):
        if not self._compact:
            return super().v2_runner_retry(result)
        now = time.monotonic()
        with self._guard:
            if self._stage is None or "pending" not in result.result:
                return
            self._stage.note_pending(result.host.get_name(), result.result)
            text = self._stage.progress(now)
        news = text.rsplit("   ", 1)[0]  # without the seconds
        if news != self._progress or now - self._said >= (self.get_option("heartbeat") or 10):
            self._progress = news
            self._say(text)

    def v2_playbook_on_include(self, included_file):
        if not self._compact:
            return super().v2_playbook_on_include(included_file)

    def v2_playbook_on_stats(self, stats):
        self._close_stage()
        self._stop_heart()
        super().v2_playbook_on_stats(stats)
        if self._any_ours and self._display.verbosity == 0:
            for line in self._table:
                self._display.display(line)
            self._display.display(f"total {time.monotonic() - self._began:.1f} s")
