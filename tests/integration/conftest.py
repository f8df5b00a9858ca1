# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud of this machine for the integration tests: own names, bridge and addresses beside whatever else it runs."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import tempfile
from dataclasses import dataclass, field

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATE_DIR = pathlib.Path("/var/lib/virtfleet")
GUEST = STATE_DIR / "guest"
RECAP = re.compile(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass
class Run:
    """What a playbook run came to: exit code, everything it printed, and the sums of the recap."""

    code: int
    output: str
    changed: int = field(init=False)
    failed: int = field(init=False)

    def __post_init__(self):
        recap = RECAP.findall(self.output)
        self.changed = sum(int(line[1]) for line in recap)
        self.failed = sum(int(line[2]) + int(line[3]) for line in recap)


class Cloud:
    """One inventory of this machine in a folder of its own; every name in it starts with the prefix."""

    def __init__(self, folder: pathlib.Path, prefix: str, third_octet: int):
        self.folder, self.prefix, self.runs = folder, prefix, itertools.count()
        self.bridge = f"{prefix}br0"
        self.cidr = f"192.168.{third_octet}.0/24"
        self.gateway = f"192.168.{third_octet}.1"
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.vars = {
            # Other guests of this machine must not stand in the way: what is full is tested with fleets of its own.
            "host_info_cpu_allocation_ratio": 64,
            "host_info_ram_allocation_ratio": 4,
            "virtfleet_projects": {"default": {"quota": {"instances": -1, "cores": -1, "memory_mb": -1}}},
            "virtfleet_flavors": {"tiny": {"vcpus": 1, "memory_mb": 224, "disk_gb": 1}},
            "virtfleet_images": {
                "guest": {
                    "url": f"file://{GUEST}/virtfleet-guest.qcow2",
                    "checksum": f"file://{GUEST}/SHA256SUMS",
                    "disk_format": "qcow2",
                }
            },
            "virtfleet_networks": {
                "private": {
                    "type": "nat",
                    "bridge": self.bridge,
                    "subnets": [
                        {
                            "cidr": self.cidr,
                            "gateway": self.gateway,
                            "pool": [f"192.168.{third_octet}.10-192.168.{third_octet}.99"],
                        }
                    ],
                }
            },
            "virtfleet_security_groups": {
                "default": {"rules": [{"protocol": "tcp", "ports": 22}, {"protocol": "icmp"}]},
            },
            "virtfleet_keypairs": {"test": self.key.with_suffix(".pub").read_text().strip()},
            "virtfleet_instances": [],
        }

    def instance(self, name: str, **more) -> dict:
        """Return an entry of virtfleet_instances."""
        return {
            "name": f"{self.prefix}-{name}",
            "flavor": "tiny",
            "image": "guest",
            "networks": [{"network": "private"}],
            "key_name": "test",
            "wait_for": "running",
            **more,
        }

    def start(self, playbook: str, *arguments: str, hosts=None, within=(), **variables) -> subprocess.Popen:
        """Start one of our playbooks over this cloud, with some variables replaced.

        `hosts` are the compute hosts with their variables, else this machine; `within` is a command that runs another.
        """
        hosts = hosts or {"localhost": {"ansible_connection": "local"}}
        inventory = {"all": {"children": {"compute": {"hosts": hosts}}, "vars": {**self.vars, **variables}}}
        self.folder.joinpath("inventories").mkdir(exist_ok=True)
        path = self.folder / "inventories" / f"{next(self.runs)}.json"  # of its own, for runs at the same time
        path.write_text(json.dumps(inventory, indent=1))
        return subprocess.Popen(
            [*within, "ansible-playbook", "-i", str(path), str(ROOT / "playbooks" / playbook), *arguments],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, playbook: str, *arguments: str, **more) -> Run:
        """Run one of our playbooks to its end, as `start` takes it; it always ends in a Run."""
        process = self.start(playbook, *arguments, **more)
        output, _nothing = process.communicate()
        return Run(process.returncode, output)

    def boot(self, *instances: dict, arguments: tuple[str, ...] = (), **variables) -> Run:
        """Run boot.yml with these instances."""
        return self.play("boot.yml", *arguments, virtfleet_instances=list(instances), **variables)

    def domains(self) -> dict[str, str]:
        """Return the state of each domain of this cloud by its name, as libvirt has it."""
        names = virsh("list", "--all", "--name").split()
        return {name: virsh("domstate", name).strip() for name in names if name.startswith(self.prefix)}

    def traces(self, *names: str) -> list[str]:
        """Return whatever the host has of instances of these names: domains, folders, saved ports and taps."""
        uuids = {naming.instance_uuid("default", name) for name in names}
        left = [name for name in self.domains() if name in names]
        left += [str(path) for path in (STATE_DIR / "instances").glob("*") if path.name in uuids]
        saved = {path: json.loads(path.read_text()) for path in (STATE_DIR / "ports").glob("*.json")}
        left += [str(path) for path, port in saved.items() if port.get("instance") in names]
        taps = {naming.tap(naming.port_id("default", name, 0)) for name in names}
        return left + [path.name for path in pathlib.Path("/sys/class/net").glob("tap*") if path.name in taps]

    def claims(self) -> dict[str, str]:
        """Return the state of each claim of this cloud by the instance's name, as the registry has it."""
        path = STATE_DIR / "registry" / "registry.db"
        if not path.exists():
            return {}
        with contextlib.closing(sqlite3.connect(path)) as registry:
            rows = registry.execute("SELECT name, state FROM instances WHERE name LIKE ?", (f"{self.prefix}-%",))
            return dict(rows.fetchall())

    def all_traces(self) -> list[str]:
        """Return the names of all that the host has of anybody's instances."""
        folders = [str(path) for kind in ("instances", "ports") for path in (STATE_DIR / kind).glob("*")]
        return sorted([*self.domains(), *folders, *(path.name for path in pathlib.Path("/sys/class/net").glob("tap*"))])

    def findings(self) -> set[str]:
        """Return what audit.yml finds, a line each; whatever else this machine runs may have some of its own."""
        report = self.folder / "audit.json"
        run = self.play("audit.yml", audit_report=str(report))
        told = json.loads(report.read_text()) if report.exists() else {"findings": []}
        found = {" ".join(one[key] for key in ("host", "what", "name", "evidence")) for one in told["findings"]}
        if bool(found) != bool(run.code) or not (found or "nothing stray" in run.output):
            raise AssertionError(run.output)
        return found

    def ssh(self, address: str, command: str) -> str:
        """Return what a command prints inside a guest."""
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        options += ["-o", "ConnectTimeout=20", "-o", "BatchMode=yes"]
        return subprocess.run(
            ["ssh", "-i", str(self.key), *options, f"root@{address}", command],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout


def virsh(*words: str) -> str:
    """Return what virsh prints."""
    return subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True, check=True
    ).stdout


def wipe(cloud: Cloud) -> None:
    """Remove what a test left behind: through delete.yml, and the domains by hand where that is what is broken."""
    names = sorted({*cloud.domains(), *cloud.claims()})
    if names:
        cloud.play("delete.yml", "-e", f"names={','.join(names)}")
    for name, state in cloud.domains().items():
        if state != "shut off":
            virsh("destroy", name)
        virsh("undefine", name)
    subprocess.run(["ip", "link", "delete", cloud.bridge], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def cloud(request, tmp_path_factory):
    """A cloud that lives for one test module; the module names its PREFIX and OCTET."""
    one = Cloud(tmp_path_factory.mktemp("cloud"), request.module.PREFIX, request.module.OCTET)
    with open(pathlib.Path(tempfile.gettempdir(), f"virtfleet-test-{one.prefix}"), "w") as turn:
        # Two runs of one module on one machine take turns.
        fcntl.flock(turn, fcntl.LOCK_EX)
        wipe(one)
        yield one
        wipe(one)
