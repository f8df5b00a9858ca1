# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a play sees it."""

from __future__ import annotations

import importlib.util
import json
import pathlib

TESTS = pathlib.Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("fleet_tests", TESTS / "callback/test_fleet.py")
fleet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fleet)

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Check
      virtfleet.compute.requests:
        flavors: {m1: {vcpus: 1, memory_mb: 64, disk_gb: 1}}
        images: {tiny: {url: file:///srv/tiny.qcow2}}
        networks: {lan: {type: nat, subnets: [{cidr: 198.51.100.0/24}]}}
        security_groups: {web: {}}
        instances:
          - name: web
            flavor: "{{ 'm1' }}"
            image: tiny
            security_groups: [web]
            user_data: "SECRET {{ 'SECRET' }}"
            admin_pass: $6$SALT$SECRET
            files: [{path: /x, content: SECRET}]
      register: result
    - ansible.builtin.copy: {content: "{{ result | to_json }}", dest: result.json, mode: "0600"}
      no_log: true
    - ansible.builtin.set_fact:
        told: "{{ result.instances | virtfleet.compute.secrets_of([{'name': 'web', 'user_data': 'HIDDEN'}]) | length }}"
        asked: "{{ result.instances | virtfleet.compute.scheduler_requests }}"
    - ansible.builtin.debug: {var: told}
"""


def test_records_come_back_and_no_secret_is_printed(tmp_path):
    text, code = fleet.run(tmp_path, PLAY, "-vvvv")
    assert code == 0
    assert "SECRET" not in text and "HIDDEN" not in text
    result = json.loads((tmp_path / "result.json").read_text())
    assert [one["name"] for one in result["instances"]] == ["web"]
    assert result["changed"] is False
    assert "SECRET" not in json.dumps(result)


def test_check_mode_gives_the_same(tmp_path):
    _text, code = fleet.run(tmp_path, PLAY.partition("    - ansible.builtin.copy")[0], "--check")
    assert code == 0


def test_an_unknown_option_is_refused(tmp_path):
    text, code = fleet.run(tmp_path, PLAY.replace("flavors:", "flavours:"))
    assert code != 0 and "flavours" in text
