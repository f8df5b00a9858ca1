# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages on the controller as a play sees them: each takes the records of the run and hands all of them on."""

from __future__ import annotations

import json
import stat

import plays

from ansible_collections.virtfleet.compute.plugins.module_utils._model.host import down

HOST = {
    **{"name": "localhost", "up": True, "enabled": True, "instances": [], "cpu_allocation_ratio": 1.0},
    **{"vcpus": 2, "vcpus_used": 0, "memory_mb": 4096, "memory_mb_used": 0},
    **{"disk_gb": 50, "disk_gb_used": 0, "disk_available_least": 50},
}
OFF = down("mute", "", "it is off")
PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}", url: "sqlite:///{{ dir }}/registry/registry.db"}
  tasks:
    - ansible.builtin.add_host: {name: "{{ item.name }}", groups: compute, virtfleet_host_info: {host: "{{ item }}"}}
      loop: "{{ hosts }}"
    - virtfleet.compute.requests:
        flavors: {one: {vcpus: 1, memory_mb: 64, disk_gb: 1}}
        images: {tiny: {url: file:///srv/tiny.qcow2}}
        networks: {lan: {type: nat, subnets: [{cidr: 198.51.100.0/24}]}}
        instances: [{name: web, count: 3, flavor: one, image: tiny, networks: [{network: lan}]}]
        run_id: r-1
      register: virtfleet_run
    - virtfleet.compute.placements: {registry_url: "{{ url }}", record: "{{ dir }}/decision.json"}
      register: virtfleet_run
    - ansible.builtin.copy: {content: "{{ virtfleet_run | to_json }}", dest: placed.json, mode: "0600"}
    - virtfleet.compute.claims: {registry_url: "{{ url }}"}
      register: virtfleet_run
      failed_when: virtfleet_run.instances is not defined
    - ansible.builtin.copy: {content: "{{ virtfleet_run | to_json }}", dest: claimed.json, mode: "0600"}
    - virtfleet.compute.claims: {registry_url: "{{ url }}", state: active}
      register: virtfleet_run
      failed_when: virtfleet_run.instances is not defined
    - virtfleet.compute.claims: {registry_url: "sqlite:////proc/none/registry.db", state: active}
      register: virtfleet_run
    - virtfleet.compute.claims: {registry_url: "sqlite:////proc/none/registry.db", state: absent}
      register: virtfleet_run
    - ansible.builtin.copy: {content: "{{ virtfleet_run | to_json }}", dest: settled.json, mode: "0600"}
"""


def played(directory, *hosts):
    """Return the output, the exit code and what the stages registered."""
    told = json.dumps({"dir": str(directory), "hosts": hosts})
    text, code = plays.run(directory, PLAY, "-e", told)
    names = [name for name in ("placed", "claimed", "settled") if (directory / f"{name}.json").exists()]
    return text, code, [json.loads((directory / f"{name}.json").read_text()) for name in names]


def test_the_records_go_from_stage_to_stage(tmp_path):
    text, code, stages = played(tmp_path, HOST, OFF)
    assert code == 0, text
    placed, claimed, settled = stages
    assert [one["name"] for one in placed["instances"]] == ["web-1", "web-2", "web-3"]
    assert [one.get("host") for one in placed["instances"]] == ["localhost", "localhost", None]
    assert placed["instances"][2]["failed"] and "no host" in placed["instances"][2]["msg"]
    assert {(one["run_id"], one["ovn"]) for one in stages} == {("r-1", False)}
    assert [one.get("claim_state") for one in claimed["instances"]] == ["claimed", "claimed", None]
    assert claimed["instances"][0]["volumes"] and claimed["instances"][0]["ports"][0]["addresses"]
    assert claimed["unsettled"] and claimed["lease_due"] > 0
    assert claimed["asked"] == [one["uuid"] for one in claimed["instances"][:2]]
    assert [one.get("claim_state") for one in settled["instances"]] == ["active", "active", None]
    assert settled["skipped"] and settled["decision"] == placed["decision"]


def test_a_run_that_claims_nothing_new_leaves_nothing_to_settle(tmp_path):
    played(tmp_path, HOST)
    _text, _code, (_placed, claimed, _settled) = played(tmp_path, HOST)
    assert [one.get("claim_state") for one in claimed["instances"]] == ["active", "active", None]
    assert claimed["unsettled"] is False


def test_the_decision_is_kept_for_its_owner_alone(tmp_path):
    kept = tmp_path / "decision.json"
    kept.write_text("an earlier one")
    kept.chmod(0o644)
    _text, _code, (placed, *_rest) = played(tmp_path, HOST)
    assert json.loads(kept.read_text()) == placed["decision"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_nothing_is_done_where_no_host_answers(tmp_path):
    text, code, stages = played(tmp_path, down("localhost", "", "libvirtd is stopped"), OFF)
    assert code != 0 and stages == []
    assert "no compute host answers, so nothing was done: localhost: libvirtd is stopped; mute: it is off" in text
    assert not (tmp_path / "registry").exists()


def test_what_the_registry_has_on_a_silent_host_stays_there(tmp_path):
    played(tmp_path, HOST)
    text, code, (placed, claimed, _settled) = played(
        tmp_path, down("localhost", "", "it is off"), {**HOST, "name": "kvm2"}
    )
    assert code == 0, text
    assert [one["todo"] for one in placed["instances"]] == ["wait", "wait", "create"]
    assert [one["host"] for one in claimed["instances"]] == ["localhost", "localhost", "kvm2"]
    assert [one.get("claim_state") for one in claimed["instances"]] == [None, None, "claimed"]
