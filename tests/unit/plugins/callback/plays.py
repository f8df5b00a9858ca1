# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays that tests run, each in a process of its own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]

# Two of three instances get through; the module says what it waits for the first time it is asked.
WAITING = """
import os, time
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"marker": {"type": "str"}, "sleep": {"type": "float", "default": 0}})
time.sleep(module.params["sleep"])
first = module.params["marker"] and not os.path.exists(module.params["marker"])
if first:
    open(module.params["marker"], "w").close()
instances = [{"name": name, "uuid": name, "failed": False, "msg": ""} for name in ("web-1", "web-2", "web-3")]
instances[2].update(failed=True, msg="no space left in /srv: need 20 GiB, have 7 GiB")
pending = [{"name": "web-2", "waiting_for": "waiting for ssh"}] if first else []
module.exit_json(changed=False, instances=instances, pending=pending)
"""
READY = """
- name: Wait
  waiting: {marker: "{{ playbook_dir }}/marker", sleep: "{{ sleep | default(0) }}"}
  register: result
  until: result.pending == []
  retries: 5
  delay: 0
"""


def run(directory, play, *arguments, callback="virtfleet.compute.fleet", **settings):
    """Return what running the play prints, and its return code."""
    (directory / "library").mkdir(exist_ok=True)
    (directory / "roles/ready/tasks").mkdir(parents=True, exist_ok=True)
    (directory / "library/waiting.py").write_text(WAITING)
    (directory / "roles/ready/tasks/main.yml").write_text(READY)
    (directory / "marker").unlink(missing_ok=True)
    (directory / "play.yml").write_text(play)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'collections'}:{ROOT.parent.parent.parent}",
        "ANSIBLE_STDOUT_CALLBACK": callback,
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_NOCOLOR": "1",
        **settings,
    }
    command = [sys.executable, "-m", "ansible.cli.playbook", "-c", "local", "-i", "localhost,", "play.yml", *arguments]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr, done.returncode
