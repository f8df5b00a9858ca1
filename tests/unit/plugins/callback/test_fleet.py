# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see of a run."""

from __future__ import annotations

import re

import pytest
from plays import run

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
