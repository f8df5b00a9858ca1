# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage as a play sees it: records go from task to task, and a module that cannot begin fails what it was given."""

from __future__ import annotations

import json

import plays

UUIDS = [f"00000000-0000-5000-8000-00000000000{number}" for number in (1, 2, 3)]
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        virtfleet_here:
          instances:
            - {name: new, uuid: %s, todo: create, existing: false, failed: false, volumes: [{name: "no/path"}]}
            - {name: old, uuid: %s, todo: update, existing: true, failed: true, msg: earlier}
            - {name: gone, uuid: %s, todo: delete, existing: true, failed: false}
    - virtfleet.compute.volumes: {state_dir: "{{ dir }}/state", run_dir: "{{ dir }}/run"}
      vars: {ansible_python_interpreter: "{{ python | default(ansible_playbook_python) }}"}
      register: virtfleet_here
      failed_when: virtfleet_here.instances is not defined
    - ansible.builtin.copy: {content: "{{ virtfleet_here | to_json }}", dest: made.json, mode: "0600"}
    - virtfleet.compute.volumes: {state: absent, state_dir: "{{ dir }}/state", run_dir: "{{ dir }}/run"}
      vars: {ansible_python_interpreter: "{{ python | default(ansible_playbook_python) }}"}
      register: virtfleet_here
      failed_when: virtfleet_here.instances is not defined
    - ansible.builtin.copy: {content: "{{ virtfleet_here | to_json }}", dest: undone.json, mode: "0600"}
"""


def played(directory, **more):
    """Return what each task registered."""
    text, code = plays.run(directory, PLAY % tuple(UUIDS), "-e", json.dumps({"dir": str(directory), **more}))
    assert code == 0, text
    return [json.loads((directory / name).read_text()) for name in ("made.json", "undone.json")]


def test_a_stage_takes_what_it_can_do_something_for_and_hands_all_on(tmp_path):
    made, undone = played(tmp_path)
    assert made["asked"] == UUIDS[:1] and made["to_undo"] is True and "diff" not in made
    new, old, gone = made["instances"]
    assert new["failed"] and "volume" in new["msg"] and old["msg"] == "earlier" and "changed" not in gone
    assert undone["asked"] == [UUIDS[0], UUIDS[2]]
    new, old, gone = undone["instances"]
    assert (new["undone"], new["failed"], gone["undone"], gone["failed"]) == (True, True, True, False)
    assert "undone" not in old and new["msg"] == made["instances"][0]["msg"]


def test_a_module_that_cannot_begin_fails_what_it_was_given_and_is_not_taken_for_an_undo(tmp_path):
    made, undone = played(tmp_path, python="/bin/false")
    new, old, gone = made["instances"]
    assert (new["failed"], new["fault"], old["msg"], gone["failed"]) == (True, "host", "earlier", False)
    new, _old, gone = undone["instances"]
    assert new["undone"] is False and gone["undone"] is False and gone["failed"]
    assert undone["to_undo"] is False
