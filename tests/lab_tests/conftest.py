# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of its own for the tests: three hosts, beside whatever lab somebody has up on this machine."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import time
from dataclasses import dataclass, field

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Another name and network let two of these run beside each other.
NAME, NET = os.environ.get("LAB_TEST_NAME", "vfltest"), os.environ.get("LAB_TEST_NET", "10.78.0.0/16")
DISKS = "/var/lib/virtfleet/instances"
QEMU, LIBVIRTD = "/usr/bin/qemu-system-x86_64", "/usr/sbin/libvirtd"
RECAP = re.compile(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
ENVIRONMENT = {
    **os.environ,
    "LAB_NAME": NAME,
    "LAB_NET": NET,
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "ANSIBLE_NOCOLOR": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass
class Run:
    """What a playbook run came to: exit code, all it printed, and what the recap says."""

    code: int
    output: str
    changed: int = field(init=False)
    unreachable: list[str] = field(init=False)

    def __post_init__(self):
        recap = RECAP.findall(self.output)
        self.changed = sum(int(line[1]) for line in recap)
        self.unreachable = [line[0] for line in recap if int(line[2])]

    def states(self) -> dict[str, tuple[str, str]]:
        """Return the state and the host of each instance in the table at the end."""
        table = self.output.rpartition("\nNAME ")[2].splitlines()[1:]
        rows = [re.split(r"\s{2,}", line) for line in table if line and not line.startswith((" ", "total"))]
        return {row[0]: (row[1], row[2]) for row in rows}


class Fleet:
    """The lab and the playbooks over it."""

    hosts = ("kvm1", "kvm2", "kvm3")

    def lab(self, *words: str) -> str:
        """Return what the lab's own command prints; it must not fail."""
        command = [str(ROOT / "tests/lab/lab"), *words]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def play(self, playbook: str, *arguments: str, on_line=None, **variables) -> Run:
        """Run a playbook over the lab with some variables replaced; `on_line` sees each line as it comes."""
        command = ["ansible-playbook", "-i", "inventories/lab", playbook, "-e", json.dumps(variables), *arguments]
        lines = []
        with subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            for line in running.stdout:
                lines.append(line)
                if on_line:
                    on_line(line)
        return Run(running.returncode, "".join(lines))

    def boot(self, *instances: dict, **more) -> Run:
        """Run boot.yml with these instances."""
        return self.play("playbooks/boot.yml", virtfleet_instances=list(instances), **more)

    def audit(self) -> Run:
        """Run audit.yml."""
        return self.play("playbooks/audit.yml")

    def running(self) -> dict[str, str]:
        """Return the host of each domain that runs, as the libvirt of each host has it."""
        names = {host: self.lab("exec", host, "virsh", "-q", "list", "--name").split() for host in self.hosts}
        return {name: host for host, there in names.items() for name in there}

    def traces(self) -> list[str]:
        """Return what is left of any instance on any host: domains, folders, saved ports and taps."""
        look = "virsh -q list --all --name; cd /var/lib/virtfleet; ls instances ports; ls /sys/class/net | grep ^tap"
        found = [word for host in self.hosts for word in self.lab("exec", host, "sh", "-c", f"{look}; true").split()]
        return [word for word in found if word not in ("instances:", "ports:")]

    def mend(self) -> None:
        """All hosts are up and well, and nothing of any instance is left."""
        self.lab("up", "3")
        self.lab("heal", *self.hosts)
        self.lab("thaw", *self.hosts)
        for host in self.hosts:
            for broken in (DISKS, QEMU, LIBVIRTD):
                self.lab("exec", host, "sh", "-c", f"while umount -l {broken} 2>/dev/null; do :; done")
            self.lab("exec", host, "sh", "-c", "until virsh -q list >/dev/null 2>&1; do sleep 0.2; done")
        names = set(self.claims())
        if names:
            self.play("playbooks/delete.yml", "-e", f"names={','.join(sorted(names))}")
        # With it goes what it remembers of failed builds, so that each test begins with hosts of equal rank.
        self.lab("exec", "kvm1", "rm", "-rf", "/var/lib/virtfleet/registry")

    def fill(self, *hosts: str) -> None:
        """These hosts have 64 KiB left for disks."""
        for host in hosts:
            self.lab("exec", host, *f"mount -t tmpfs -o size=64k tmpfs {DISKS}".split())

    def spoil(self, program: str, host: str) -> None:
        """The program ends at once with an error on this host, until the fleet is mended."""
        self.lab("exec", host, "mount", "--bind", "/bin/false", program)

    def claims(self) -> dict[str, tuple[str, str]]:
        """Return the host and the state of each claim, straight from the registry on the first host."""
        query = (
            "import os, sqlite3; path = '/var/lib/virtfleet/registry/registry.db'; "
            "[print(*row) for row in sqlite3.connect(path).execute('select name, host, state from instances')] "
            "if os.path.exists(path) else None"
        )
        rows = [line.split() for line in self.lab("exec", "kvm1", "python3", "-c", query).splitlines()]
        return {name: (host, state) for name, host, state in rows}


def instance(name: str, **more) -> dict:
    """Return an entry of virtfleet_instances: a guest that stands still."""
    return {"name": name, "flavor": "still", "image": "halt", "networks": [{"network": "lan"}], **more}


@pytest.fixture(scope="session")
def lab():
    """A lab with three compute hosts, gone at the end."""
    one = Fleet()
    one.lab("down")
    one.lab("up", "3")
    began = time.monotonic()
    assert one.play("tests/lab/hosts.yml").code == 0, f"after {time.monotonic() - began:.0f} s"
    yield one
    one.lab("down")


@pytest.fixture
def fleet(lab):
    """The lab, all hosts well and nothing on them."""
    lab.mend()
    return lab


CELLS = ("-i", "extensions/molecule/cells/inventory/hosts.yml")
READ = (
    "import os, sqlite3; path = '/var/lib/virtfleet/registry/%s.db'; "
    "[print(*row) for row in sqlite3.connect(path).execute('select name, host, state from instances order by name')] "
    "if os.path.exists(path) else None"
)


class Cells:
    """The fleet as two cells: east with kvm1 and kvm2, west with kvm3."""

    def __init__(self, fleet):
        self.fleet = fleet

    def boot(self, *instances, **more):
        cells = {"virtfleet_cells": {"east": {}, "west": {}}, "virtfleet_instances": list(instances)}
        return self.fleet.play("playbooks/boot.yml", *CELLS, **cells, **more)

    def claims(self, registry: str) -> list[tuple[str, ...]]:
        """Return name, host or cell, and state of all that a registry has."""
        host = "kvm3" if registry == "cell-west" else "kvm1"
        told = self.fleet.lab("exec", host, "python3", "-c", READ % registry)
        return [tuple(line.split()) for line in told.splitlines()]


@pytest.fixture
def cells(fleet):
    """The fleet as two cells, nothing of which is left."""
    yield Cells(fleet)
    fleet.play("playbooks/delete.yml", *CELLS, virtfleet_cells={"east": {}, "west": {}}, names="east-1,east-2,pin")
    for host in ("kvm1", "kvm3"):
        fleet.lab("exec", host, "sh", "-c", "rm -f /var/lib/virtfleet/registry/cell-*")
