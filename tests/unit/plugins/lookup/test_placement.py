# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler's edges: lookups, files of own rules, the filter that explains."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader, lookup_loader

from ansible_collections.virtfleet.compute.plugins.plugin_utils._files import fleet_files

HOST = {"vcpus": 8, "vcpus_used": 0, "memory_mb": 16384, "memory_mb_used": 0, "disk_gb": 100, "disk_gb_used": 0}
HOSTS = [{**HOST, "name": "a"}, {**HOST, "name": "b", "labels": {"tier": "gold"}}]
REQUEST = {"name": "vm", "vcpus": 1, "memory_mb": 1024, "disk_gb": 1}
# The directory that has ansible_collections, wherever the tests run.
COLLECTIONS = pathlib.Path(fleet_files.__code__.co_filename).parents[5]


@pytest.fixture(scope="module", autouse=True)
def loader():
    """Let Ansible find the collection of this clone."""
    init_plugin_loader([str(COLLECTIONS)])


def look(name, *terms, **options):
    """Return the answer of one of our lookups."""
    plugin = lookup_loader.get(f"virtfleet.compute.{name}", loader=DataLoader())
    return plugin.run(list(terms), variables={}, **options)


def test_it_returns_one_record_for_a_list_of_requests():
    (record,) = look("placement", [REQUEST, {**REQUEST, "name": "two"}], hosts=HOSTS)
    assert [request["instances"][0]["host"] for request in record["requests"]] == ["a", "b"]
    assert set(record["digests"]) == {"hosts", "requests", "policy", "decision"}


def test_a_refusal_is_an_error_of_ansible():
    with pytest.raises(AnsibleError, match="host a: memory_mb is missing"):
        look("placement", [REQUEST], hosts=[{**HOST, "name": "a", "memory_mb": None}])


def test_own_rules_from_files(tmp_path):
    (tmp_path / "gold_only.py").write_text(
        "def passes(host, request):\n    return host['labels'].get('tier') == 'gold'\n"
    )
    (tmp_path / "quiet.py").write_text("def weigh(host, request):\n    return -host['num_instances']\n")
    hosts = [{"labels": {}, **host} for host in HOSTS]
    (record,) = look("placement", [REQUEST], hosts=hosts, policy={"rules_directory": str(tmp_path)})
    assert record["requests"][0]["instances"][0]["host"] == "b"
    assert set(record["own_rules"]) == {"gold_only", "quiet"}
    assert record["weighers"][-1] == "quiet"


def test_an_own_rule_that_fails_is_named_with_the_host(tmp_path):
    (tmp_path / "gold_only.py").write_text("def passes(host, request):\n    return host['labels']['tier']\n")
    with pytest.raises(AnsibleError, match="own rule gold_only failed for host a: KeyError"):
        look("placement", [REQUEST], hosts=HOSTS, policy={"rules_directory": str(tmp_path)})


def test_a_rule_file_without_a_rule_is_refused(tmp_path):
    (tmp_path / "empty.py").write_text("def filter(host):\n    return True\n")
    with pytest.raises(AnsibleError, match=r"empty.py has neither passes\(host, request\) nor weigh"):
        look("placement", [REQUEST], hosts=HOSTS, policy={"rules_directory": str(tmp_path)})


def test_a_record_replays_from_its_file_until_a_rule_changes(tmp_path):
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "any.py").write_text("def passes(host, request):\n    return True\n")
    (record,) = look("placement", [REQUEST], hosts=HOSTS, policy={"rules_directory": str(rules)})
    file = tmp_path / "record.json"
    file.write_text(json.dumps(record))
    assert look("replay", str(file)) == [{"record": str(file), "identical": True, "difference": None}]
    (rules / "any.py").write_text("def passes(host, request):\n    return host['name'] != 'a'\n")
    (told,) = look("replay", str(file))
    assert told["difference"].startswith("own_rules any:")


def test_policy_test_reads_files_and_directories(tmp_path):
    fleet = "given: {hosts: [%s]}\nwhen: [%s]\nexpect: [{host: a}]\nnever: [{host: b}]\n"
    (tmp_path / "one.yml").write_text(fleet % (json.dumps(HOSTS[0]), json.dumps(REQUEST)))
    answers = look("policy_test", str(tmp_path))
    assert [(answer["file"], answer["green"]) for answer in answers] == [(str(tmp_path / "one.yml"), True)] * 2
    with pytest.raises(AnsibleError, match="is neither a fleet file nor a directory"):
        look("policy_test", str(tmp_path / "no-such.yml"))


def test_explain_is_for_records():
    explain = filter_loader.get("virtfleet.compute.explain").j2_function
    (record,) = look("placement", [REQUEST], hosts=HOSTS)
    assert explain(record) == ["vm  (1 vCPU, 1 GiB, 1 GiB)  -> a  (then b)"]
    with pytest.raises(AnsibleError, match="needs a decision record"):
        explain({"hosts": []})
