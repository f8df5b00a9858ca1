# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see of a run."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

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
OURS = """
- hosts: localhost
  gather_facts: false
  vars:
    virtfleet_flavors: {m1: {vcpus: 1, memory_mb: 64, disk_gb: 1}}
    virtfleet_images: {tiny: {url: file:///srv/tiny.qcow2}}
    virtfleet_instances: [{name: web, count: 3, flavor: m1, image: tiny}]
  roles: [virtfleet.compute.request, ready]
  tasks:
    - ansible.builtin.debug: {msg: never shown, verbosity: 1}
    - ansible.builtin.command: "true"
    - ansible.builtin.set_fact: {virtfleet_table: [NAME  STATE, web-1  active]}
"""
FOREIGN = """
- name: Theirs
  hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: shown}
    - ansible.builtin.set_fact: {a: b}
    - ansible.builtin.fail: {msg: their reason}
"""
FAILING = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Loop
      ansible.builtin.fail: {msg: "one by one"}
      when: item == 2
      loop: [1, 2]
      ignore_errors: true
    - virtfleet.compute.requests: {instances: [{name: web}]}
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


def test_a_line_for_each_stage_then_recap_table_and_time(tmp_path):
    text, code = run(tmp_path, OURS)
    lines = [re.sub(r"[\d.]+ s$", "N s", line).rstrip() for line in text.splitlines()]
    assert code == 0
    assert lines == [
        "request       3 of 3 instances   N s",
        "ready         2 of 3   web-2: waiting for ssh   N s",
        "ready         2 of 3 instances   1 failed   N s",
        "              web-3: no space left in /srv: need 20 GiB, have 7 GiB",
        "",
        "PLAY RECAP *********************************************************************",
        f"{'localhost':26} : ok=5    changed=1    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0",
        "",
        "NAME  STATE",
        "web-1  active",
        "total N s",
    ]


def test_a_long_task_is_not_silent(tmp_path):
    text, _code = run(tmp_path, OURS, "-e", "sleep=1.5", VIRTFLEET_HEARTBEAT="0.5")
    assert re.search(r"^ready         still running on localhost   1 s$", text, re.M)


@pytest.mark.parametrize("play,arguments", [(FOREIGN, ()), (FOREIGN, ("-v",)), (FAILING, ("-v",))])
def test_else_it_is_the_default_output(tmp_path, play, arguments):
    ours, code = run(tmp_path, play, *arguments)
    theirs, other = run(tmp_path, play, *arguments, callback="ansible.builtin.default")
    assert ours == theirs
    assert code == other == 2


def test_failures_are_sentences(tmp_path):
    text, code = run(tmp_path, FAILING)
    assert code == 2
    assert text.startswith(
        "localhost: The request has 2 problems; nothing was done:\n"
        "virtfleet_instances[0] has no 'flavor': it must be given\n"
        "virtfleet_instances[0] has no 'image': it must be given\n"
    )
    assert "Traceback" not in text and "{" not in text


def test_a_host_that_is_left_out_is_a_warning(tmp_path):
    play = OURS.replace("hosts: localhost", "hosts: nowhere").replace(", ready]", "]").partition("  tasks:")[0]
    play += "  tasks:\n    - {ansible.builtin.ping: , ignore_unreachable: true}\n"
    text, code = run(tmp_path, play, "-i", "nowhere,", "-c", "ssh", "-e", "ansible_host=/")
    assert code == 0
    assert "[WARNING]: nowhere is left out, it cannot be reached: " in text


def test_diffs_are_shown(tmp_path):
    play = OURS + "    - ansible.builtin.copy: {content: new, dest: '{{ playbook_dir }}/file', mode: '0600'}\n"
    assert "+new" in run(tmp_path, play, "--diff")[0]
