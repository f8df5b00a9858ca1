# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a play sees it."""

from __future__ import annotations

import json
import pathlib

import plays
import yaml

from ansible_collections.virtfleet.compute.plugins.action import requests
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import resolve

ROOT = pathlib.Path(__file__).resolve().parents[4]

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
    text, code = plays.run(tmp_path, PLAY, "-vvvv")
    assert code == 0
    assert "SECRET" not in text and "HIDDEN" not in text
    result = json.loads((tmp_path / "result.json").read_text())
    assert [one["name"] for one in result["instances"]] == ["web"]
    assert result["changed"] is False and result["ovn"] is False
    assert "SECRET" not in json.dumps(result)


def test_it_tells_whether_a_network_is_one_of_ovn(tmp_path):
    text, code = plays.run(tmp_path, PLAY.replace("type: nat", "type: ovn"))
    assert code == 0 and json.loads((tmp_path / "result.json").read_text())["ovn"] is True, text


def test_check_mode_gives_the_same(tmp_path):
    _text, code = plays.run(tmp_path, PLAY.partition("    - ansible.builtin.copy")[0], "--check")
    assert code == 0


def test_an_unknown_option_is_refused(tmp_path):
    text, code = plays.run(tmp_path, PLAY.replace("flavors:", "flavours:"))
    assert code != 0 and "flavours" in text


def test_the_ready_images_are_there_whole_and_give_way_to_those_of_the_user(tmp_path):
    ready = yaml.safe_load((ROOT / "roles/request/vars/main.yml").read_text())["__request_ready_images"]
    assert {"debian-12", "debian-13", "ubuntu-24.04", "fedora-44", "almalinux-10", "cirros-0.6.3"} <= set(ready)
    own = {"debian-12": {"url": "file:///srv/mine.qcow2"}}
    images, problems = whole(ready, own)
    assert problems == []
    assert [one["name"] for one in images] == sorted(ready)
    told = {one["name"]: one for one in images}
    assert told["debian-12"]["url"] == "file:///srv/mine.qcow2" and told["debian-12"]["checksum"] is None
    assert all(one["checksum"] and one["min_disk_gb"] for one in images if one["name"] != "debian-12")
    assert not {"visibility", "owner", "members"} & set(told["debian-13"])


def whole(ready, own):
    """Return the records of the catalogue and what is wrong with it."""
    images = requests.with_ready(ready, own)
    _records, problems = resolve.request({"virtfleet_images": images})
    return requests.image_records(images), problems


def test_a_number_given_on_the_command_line_is_one():
    assert [requests.counted(one) for one in ("2", 2, None, "two", "-1")] == [2, 2, None, "two", "-1"]
