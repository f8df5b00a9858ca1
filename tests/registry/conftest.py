# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers: ansible-playbook processes over one registry, an SQLite file or a PostgreSQL database."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import postgres_server
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
WIDE = {"cidr": "198.18.0.0/18", "gateway": "198.18.0.1"}


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL server without a database name."""
    with postgres_server.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of an empty registry."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry/registry.db"
    return postgres_server.empty_database(request.getfixturevalue("postgresql"))


def host(name: str, room: int, full: int) -> dict:
    """Return the record of a host that has promised `full` vCPUs to others and has room for `room` more."""
    stranger = {"uuid": f"stranger-{name}", "name": "old", "vcpus": full, "memory_mb": 0, "disk_gb": 0}
    ratios = {"cpu_allocation_ratio": 1.0, "ram_allocation_ratio": 1.0, "disk_allocation_ratio": 1.0}
    return {
        "name": name,
        "up": True,
        "enabled": True,
        **{"vcpus": full + room, "vcpus_used": full, "memory_mb": 10**7, "memory_mb_used": 0},
        **{"disk_gb": 10**6, "disk_gb_used": 0, "disk_available_least": 10**6, "reserved_memory_mb": 0, **ratios},
        "instances": [stranger],
    }


def inventory(folder: pathlib.Path, url: str, hosts: list[dict]) -> pathlib.Path:
    """Return an inventory in which the compute hosts are records, and the registry is reached on this machine."""
    written = folder / "hosts.json"
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    groups = {
        "all": {"hosts": {"localhost": local}},
        "registry": {"hosts": {"localhost": {}}},
        "compute": {"hosts": {one["name"]: {"virtfleet_host_info": {"host": one}} for one in hosts}},
    }
    variables = {
        "virtfleet_registry_url": url,
        "virtfleet_flavors": {"one": {"vcpus": 1, "memory_mb": 64, "disk_gb": 1}},
        "virtfleet_images": {
            "halt": {"url": "file:///nowhere", "checksum": f"sha256:{'0' * 64}", "disk_format": "raw"}
        },
        "virtfleet_networks": {"lan": {"type": "bridge", "bridge": "br0", "subnets": [WIDE]}},
        "virtfleet_projects": {"default": {"quota": {"instances": -1, "cores": -1, "memory_mb": -1}}},
    }
    groups["all"]["vars"] = variables
    written.write_text(json.dumps(groups))
    return written


class Controller:
    """One ansible-playbook process that boots an entry of so many instances."""

    def __init__(self, folder: pathlib.Path, hosts: pathlib.Path, name: str, count: int, **more):
        self.answer = folder / f"{name}-{len(list(folder.iterdir()))}.answer"
        entry = {"name": name, "count": count, "flavor": "one", "image": "halt", "networks": [{"network": "lan"}]}
        given = {"virtfleet_instances": [entry], "answer": str(self.answer), **more}
        command = ["ansible-playbook", "-i", str(hosts), "tests/registry/controller.yml", "-e", json.dumps(given)]
        with open(f"{self.answer}.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT)

    def refusal(self) -> str:
        """Return all it printed, when it has failed without an answer."""
        if self.process.wait(600) == 0 or self.answer.exists():
            raise RuntimeError("it went through")
        return pathlib.Path(f"{self.answer}.log").read_text(encoding="utf-8")

    def records(self) -> list[dict]:
        """Return what became of its instances, when it is through."""
        self.process.wait(600)
        if not self.answer.exists():
            raise RuntimeError(pathlib.Path(f"{self.answer}.log").read_text(encoding="utf-8"))
        return json.loads(self.answer.read_text(encoding="utf-8"))
