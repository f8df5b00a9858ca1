# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running guests as an inventory."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

pytest.importorskip("libvirt")

ROOT = pathlib.Path(__file__).resolve().parents[4]
RECORD = {
    "name": "web-1",
    "domain": "web-1",
    "project": "default",
    "image": {"name": "debian-12"},
    "flavor": {"name": "m1.small"},
    "availability_zone": "rack-a",
    "tags": ["blue"],
    "metadata": {"role": "front"},
    "ports": [{"addresses": []}, {"addresses": [{"address": "192.0.2.7"}, {"address": "192.0.2.8"}]}],
}
HOST = """<node><domain type='test'><name>web-1</name><memory>65536</memory><os><type>hvm</type></os>
<metadata><v:instance xmlns:v='urn:virtfleet:1'>{record}</v:instance></metadata></domain></node>"""
FILE = """
plugin: virtfleet.compute.instances
connections: {connections}
compose: {{ansible_user: "'debian'"}}
keyed_groups: [{{prefix: role, key: virtfleet_instance.metadata.role}}]
"""


def inventory(directory, *hosts, more=""):
    """Return the inventory as ansible-inventory tells it, and what it prints beside."""
    (directory / "host.xml").write_text(HOST.format(record=json.dumps(RECORD)))
    path = directory / "fleet.virtfleet.yml"
    path.write_text(FILE.format(connections=json.dumps(list(hosts))) + more)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'collections'}:{ROOT.parent.parent.parent}",
    }
    command = [sys.executable, "-m", "ansible.cli.inventory", "-i", str(path), "--list", "--yaml"]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return yaml.safe_load(done.stdout or "{}"), done.stderr


def test_guests_groups_and_variables(tmp_path):
    found, _told = inventory(tmp_path, f"test://{tmp_path}/host.xml")
    groups = found["all"]["children"]
    variables = [group["hosts"]["web-1"] for group in groups.values() if group["hosts"]["web-1"]]
    assert variables == [
        {
            "ansible_host": "192.0.2.7",
            "ansible_user": "debian",
            "virtfleet_instance": RECORD,
            "virtfleet_power_state": "running",
        }
    ]
    expected = {"project_default", "image_debian_12", "flavor_m1_small", "az_rack_a", "tag_blue", "role_front"}
    assert set(groups) == expected


def test_a_host_that_does_not_answer_is_a_warning(tmp_path):
    found, told = inventory(tmp_path, f"test://{tmp_path}/host.xml", "test:///nowhere.xml")
    assert "web-1" in found["all"]["children"]["project_default"]["hosts"]
    assert "Failed to connect to test:///nowhere.xml" in told


def test_that_no_host_answers_is_an_error(tmp_path):
    assert "No host answered" in inventory(tmp_path, "test:///nowhere.xml")[1]


def test_only_guests_in_the_wanted_states(tmp_path):
    found, _told = inventory(tmp_path, f"test://{tmp_path}/host.xml", more="power_states: [shutdown]\n")
    assert not (found.get("all") or {}).get("children")
