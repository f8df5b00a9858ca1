# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab for the tests that would be too much for the machine's own libvirt: guests with a system of their own."""

from __future__ import annotations

import base64
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECAP = re.compile(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass
class Run:
    """What a playbook run came to: exit code, all it printed, and how much it changed."""

    code: int
    output: str
    changed: int = field(init=False)

    def __post_init__(self):
        self.changed = sum(int(line[1]) for line in RECAP.findall(self.output))


class Lab:
    """One lab and the playbooks over it; LAB_NAME and LAB_NET of the environment take one that is there already."""

    def __init__(self, folder: pathlib.Path, name: str, net: str, hosts: int = 1):
        self.folder, self.hosts, self.count = folder, hosts, itertools.count()
        self.keep = "LAB_NAME" in os.environ
        self.name, self.net = os.environ.get("LAB_NAME", name), os.environ.get("LAB_NET", net)
        self.environment = {**os.environ, "LAB_NAME": self.name, "LAB_NET": self.net, "ANSIBLE_NOCOLOR": "1"}
        self.environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
        self.prefix = self.net.rsplit(".", 2)[0]
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)

    @property
    def shared(self) -> pathlib.Path:
        """Return the folder that the hosts see as /srv/lab."""
        return pathlib.Path("/var/lib/virtfleet-lab", self.name, "shared")

    def up(self) -> None:
        """The hosts are up and are compute hosts."""
        if not self.keep:
            self.lab("down")
        self.lab("up", str(self.hosts))
        run = self.play("tests/lab/hosts.yml")
        if run.code:
            raise RuntimeError(run.output)

    def down(self) -> None:
        """The lab is gone, unless it was there before."""
        if not self.keep:
            self.lab("down")

    def lab(self, *words: str) -> str:
        """Return what the lab's own command prints; it must not fail."""
        command = [str(ROOT / "tests/lab/lab"), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def on(self, host: str, script: str) -> str:
        """Return what a shell script prints on a host; it must not fail."""
        return self.lab("exec", host, "sh", "-ec", script)

    def share(self, path: pathlib.Path) -> dict[str, str]:
        """The hosts see the file; return its entry in the catalogue."""
        target = self.shared / path.name
        if not target.exists():
            shutil.copyfile(path, target)
        digest = subprocess.run(["sha256sum", str(target)], capture_output=True, text=True, check=True).stdout[:64]
        return {"url": f"file:///srv/lab/{path.name}", "checksum": f"sha256:{digest}"}

    def start(self, playbook: str, *arguments: str, **variables) -> subprocess.Popen:
        """Start a playbook over the lab with some variables replaced, in a process group of its own."""
        told = self.folder / f"{next(self.count)}.json"  # not an argument: it may hold a secret
        told.write_text(json.dumps(variables))
        command = ["ansible-playbook", "-i", "inventories/lab", playbook, "-e", f"@{told}", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        environment = {**self.environment, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes)

    def play(self, playbook: str, *arguments: str, **variables) -> Run:
        """Run a playbook over the lab to its end."""
        process = self.start(playbook, *arguments, **variables)
        output = process.communicate()[0]
        return Run(process.returncode, output)

    def ssh(self, user: str, address: str, command: str, timeout: float = 60) -> str:
        """Return what a command prints inside a guest."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        options += ["ConnectTimeout=20", "IdentitiesOnly=yes"]
        argv = ["ssh", "-i", str(self.key), *(f"-o{one}" for one in options), f"{user}@{address}", command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def agent(self, host: str, name: str, command: dict):
        """Return what the agent of a guest answers."""
        told = self.lab("exec", host, "virsh", "-q", "qemu-agent-command", name, json.dumps(command))
        return json.loads(told)["return"]

    def inside(self, host: str, name: str, script: str) -> str:
        """Return what a script prints in a guest, asked of its agent; it must not fail."""
        told = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = self.agent(host, name, {"execute": "guest-exec", "arguments": told})["pid"]
        asked = {"execute": "guest-exec-status", "arguments": {"pid": pid}}
        end = time.monotonic() + 60
        while not (done := self.agent(host, name, asked))["exited"]:
            if time.monotonic() > end:
                raise RuntimeError(f"{name}: {script} does not end")
            time.sleep(0.2)
        if done["exitcode"]:
            raise RuntimeError(f"{name}: {script}: {done}")
        return base64.b64decode(done.get("out-data", "")).decode().strip()

    def until_ssh(self, user: str, address: str, command: str, deadline: float) -> str:
        """Return what the command prints as soon as the guest takes it."""
        end = time.monotonic() + deadline
        while True:
            try:
                return self.ssh(user, address, command)
            except (RuntimeError, subprocess.TimeoutExpired):
                if time.monotonic() > end:
                    raise
                time.sleep(2)
