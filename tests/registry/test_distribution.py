# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry host runs the distribution's Python: what role registry installs is enough, also for PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from .conftest import ENVIRONMENT, ROOT, Controller, host, inventory

PYTHON = "/usr/bin/python3"
PLAY = [{"hosts": "localhost", "gather_facts": False, "roles": ["virtfleet.compute.registry"]}]


def prepare(hosts, play, *arguments):
    """Run role registry and return what changed and all it printed."""
    command = [
        "ansible-playbook",
        "-i",
        str(hosts),
        str(play),
        "-e",
        f"ansible_python_interpreter={PYTHON}",
        *arguments,
    ]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.rpartition("changed=")[2].split()[0]), done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="installs packages of the distribution")
def test_the_packages_of_the_role_are_enough_for_the_registry(url, tmp_path):
    hosts = inventory(tmp_path, url, [host("kvm01", 5, 0)])
    play = tmp_path / "registry.json"
    play.write_text(json.dumps(PLAY))
    prepare(hosts, play)
    assert prepare(hosts, play)[0] == prepare(hosts, play, "--check")[0] == 0
    modules = "import sqlalchemy" + (", psycopg2" if url.startswith("postgresql") else "")
    subprocess.run([PYTHON, "-c", modules], check=True)
    records = Controller(tmp_path, hosts, "one", 6, ansible_python_interpreter=PYTHON).records()
    assert [one["failed"] for one in records] == [False] * 5 + [True], records[-1]
    assert "vcpu" in records[-1]["msg"].lower()
