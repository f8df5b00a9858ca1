# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records go from the controller to a host and come back; a host that did not come to the end is known by that."""

from __future__ import annotations

import json

import plays

NEW = {"todo": "create", "existing": False, "failed": False, "claim_state": "claimed", "state": "active", "attempts": 1}
RUN = {
    "run_id": "r-1",
    "members": {"here": {}},
    "instances": [
        {**NEW, "name": "mine", "uuid": "u-1", "host": "here", "alternates": ["there"]},
        {**NEW, "name": "other", "uuid": "u-2", "host": "there"},
        {**NEW, "name": "quiet", "uuid": "u-3", "host": "third", "todo": "none"},
    ],
}
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact: {virtfleet_run: "{{ run }}"}
    - ansible.builtin.add_host: {name: "{{ item }}", groups: compute, ansible_connection: local}
      loop: [here, there]

- hosts: compute
  gather_facts: false
  tasks:
    - virtfleet.compute.shares:
      register: virtfleet_here
    - ansible.builtin.copy:
        {content: "{{ virtfleet_here.instances | to_json }}", dest: "{{ inventory_hostname }}.json", mode: "0600"}
      delegate_to: localhost
    - virtfleet.compute.shares: {ended: true}
      register: virtfleet_here
      when: inventory_hostname not in lost.first

- hosts: localhost
  gather_facts: false
  tasks:
    - virtfleet.compute.outcomes: {max_attempts: 3}
      register: virtfleet_run
    - ansible.builtin.copy: {content: "{{ virtfleet_run | to_json }}", dest: first.json, mode: "0600"}
    - ansible.builtin.set_fact: {virtfleet_run: "{{ run }}"}

- hosts: compute
  gather_facts: false
  tasks:
    - virtfleet.compute.shares:
      register: virtfleet_here
    - virtfleet.compute.shares: {ended: true}
      register: virtfleet_here
      when: inventory_hostname not in lost.second

- hosts: localhost
  gather_facts: false
  tasks:
    - virtfleet.compute.outcomes:
      register: virtfleet_run
    - ansible.builtin.copy: {content: "{{ virtfleet_run | to_json }}", dest: second.json, mode: "0600"}
"""


def played(directory, first=(), second=()):
    """Return the records of each host, and the run after each attempt."""
    told = {"run": RUN, "lost": {"first": list(first), "second": list(second)}}
    text, code = plays.run(directory, PLAY, "-e", json.dumps(told))
    assert code == 0, text
    return [json.loads((directory / f"{name}.json").read_text()) for name in ("here", "there", "first", "second")]


def test_each_host_takes_its_own_and_hands_it_back(tmp_path):
    here, there, first, second = played(tmp_path)
    assert [one["name"] for one in here] == ["mine"] and "alternates" not in here[0]
    assert [one["name"] for one in there] == ["other"]
    assert [one["todo"] for one in first["instances"]] == ["none"] * 3
    assert not any(one["failed"] for one in first["instances"] + second["instances"])
    assert first["run_id"] == "r-1" and first["members"] == {} and second["members"] == {"here": {}}


def test_what_a_lost_host_had_is_failed_in_the_attempt_in_which_it_was_lost(tmp_path):
    _here, _there, first, second = played(tmp_path, second=["there"])
    assert not any(one["failed"] for one in first["instances"])
    assert [one["failed"] for one in second["instances"]] == [False, True, False]
    assert second["instances"][1]["lost"] and "there was lost in the middle" in second["instances"][1]["msg"]


def test_a_host_that_was_lost_once_is_not_lost_for_ever(tmp_path):
    _here, _there, first, second = played(tmp_path, first=["here"])
    assert [one["failed"] for one in first["instances"]] == [True, False, False]
    assert not any(one["failed"] for one in second["instances"])
