# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that faults are let loose on: playbooks over it, a moment in a run, and a look at all its hosts."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/lab"))

import cgroups  # noqa: E402
import machine  # noqa: E402
from settings import from_environment  # noqa: E402

RECAP = re.compile(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
# xor ax,ax; mov ds,ax; mov si,text; cld; mov dx,0x3f8; each byte of the text: out; at its end: cli, hlt for good
SPEAK = bytes.fromhex("31c08ed8be177cfcbaf803ac84c07403eeebf8faf4ebfd") + b"\r\nVIRTFLEET-READY\r\n\0"
STANDING = "keep"  # instances that no fault is about: one on each host, from the beginning to the end
STRANGER = """
cat >/root/stranger.xml <<'X'
<domain type='qemu'><name>stranger</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='/var/lib/libvirt/images/stranger.raw'/><target dev='vda' bus='virtio'/></disk></devices></domain>
X
cp -n /srv/lab/speak.raw /var/lib/libvirt/images/stranger.raw
mkdir -p /var/lib/virtfleet/instances
[ -e /var/lib/virtfleet/instances/stranger.txt ] || echo mine >/var/lib/virtfleet/instances/stranger.txt
virsh -q dominfo stranger >/dev/null 2>&1 || virsh -q define /root/stranger.xml
virsh -q domstate stranger | grep -q running || virsh -q start stranger
ip link show tapstranger >/dev/null 2>&1 || ip tuntap add tapstranger mode tap
nft list table bridge stranger >/dev/null 2>&1 || nft add table bridge stranger '{ chain mine { counter accept; }; }'
nft list table inet stranger >/dev/null 2>&1 || nft add table inet stranger '{ set mine { type ipv4_addr; }; }'
"""


@dataclass
class Run:
    """What a playbook run came to: exit code, all it printed, and what the recap says."""

    code: int
    output: str
    changed: int = field(init=False)

    def __post_init__(self):
        self.changed = sum(int(line[1]) for line in RECAP.findall(self.output))


class Fleet:
    """The hosts of the lab of LAB_NAME and LAB_NET."""

    def __init__(self, hosts: int, logs: pathlib.Path):
        self.settings, self.logs = from_environment(), logs
        self.hosts = [f"kvm{number}" for number in range(1, hosts + 1)]
        self.environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "300",
            "PYTHONUNBUFFERED": "1",
        }
        self.variables = {
            # Six guests a host and the stranger's one are nearly all that two processors may promise.
            "host_info_cpu_allocation_ratio": 4.0,
            "host_info_reserved_memory_mb": 0,
            "domain_stop_timeout": 1,  # a guest that halts does not hear that it is to shut down
            "virtfleet_images": {
                "speak": {"url": "file:///srv/lab/speak.raw", "checksum": self._image(), "disk_format": "raw"}
            },
        }

    def _image(self) -> str:
        """The lab has the image of a guest that says that it is ready and halts; return its checksum."""
        content = SPEAK.ljust(510, b"\0") + b"\x55\xaa"
        content = content.ljust(1 << 20, b"\0")
        path = self.settings.shared / "speak.raw"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(content)
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    # The lab

    def lab(self, *words: str, check: bool = True) -> str:
        """Return what the lab's own command prints."""
        command = [str(ROOT / "tests/lab/lab"), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=300)
        if check and done.returncode:
            raise RuntimeError(f"lab {' '.join(words)[:60]}: {done.stdout}{done.stderr}")
        return done.stdout

    def inside(self, host: str, script: str, check: bool = True) -> str:
        """Return what a shell prints in a host, past its SSH."""
        return self.lab("exec", host, "sh", "-c", script, check=check)

    def up(self) -> None:
        """All hosts are up and are compute hosts, with a stranger's things on each."""
        self.lab("up", str(len(self.hosts)))
        prepared = self.play("tests/lab/hosts.yml")
        if prepared.code:
            raise RuntimeError(prepared.output)
        self.mend()

    def mend(self) -> None:
        """All hosts are up and well, whatever was done to them."""
        self.lab("up", str(len(self.hosts)))
        for verb in ("heal", "thaw"):
            self.lab(verb, *self.hosts)
        for host in self.hosts:
            self.inside(host, "umount -l /var/lib/virtfleet/instances /mnt 2>/dev/null", check=False)
        self.furnish()
        self.clear()

    def clear(self) -> None:
        """Nothing is claimed but what stands."""
        names = [one["name"] for one in self.look()["kvm1"]["registry"]["instances"]]
        others = [name for name in names if not name.startswith(f"{STANDING}-")]
        if others:
            self.delete(others)

    def furnish(self) -> None:
        """Each host has what is somebody else's: a running domain, its disk, a tap, two tables and a file."""
        for host in self.hosts:
            self.inside(host, STRANGER)

    # Playbooks

    def start(self, playbook: str, *arguments: str, **variables) -> subprocess.Popen:
        """Start a playbook over the lab, saying each task."""
        told = json.dumps({**self.variables, **variables})
        return subprocess.Popen(
            ["ansible-playbook", "-v", "-i", "inventories/lab", playbook, "-e", told, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, playbook: str, *arguments: str, moment: Moment | None = None, **variables) -> Run:
        """Run a playbook to its end; what is to happen at a moment of it happens then."""
        process, lines = self.start(playbook, *arguments, **variables), []
        for line in process.stdout:
            lines.append(line)
            if moment:
                moment.see(line, process)
        run = Run(process.wait(), "".join(lines))
        self._log(playbook, run)
        return run

    def _log(self, playbook: str, run: Run) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        number = len(list(self.logs.iterdir())) + 1
        name = pathlib.Path(playbook).stem
        (self.logs / f"{number:03}-{name}-{run.code}.log").write_text(run.output)

    def boot(self, instances: list[dict], moment: Moment | None = None, playbook: str = "boot.yml", **variables) -> Run:
        """Run boot.yml, or another that reads a spec, with these instances and those that stand."""
        spec, groups = [*self.standing(), *instances], {one["name"] for one in instances}
        known = {name: {"policy": "anti-affinity"} for name in sorted(groups | {STANDING})}
        variables = {"virtfleet_server_groups": known, **variables}
        return self.play(f"playbooks/{playbook}", moment=moment, virtfleet_instances=spec, **variables)

    def delete(self, names: Iterable[str], moment: Moment | None = None) -> Run:
        """Run delete.yml for these names."""
        return self.play("playbooks/delete.yml", "-e", f"names={','.join(names)}", moment=moment)

    def standing(self) -> list[dict]:
        """Return the entry of the instances that no fault is about."""
        return [entry(STANDING, len(self.hosts))]

    # Looking

    def look(self) -> dict[str, dict]:
        """Return what each host has that is up and does not hang, read past SSH and past our own code."""
        hosts = {host: self.settings.by_name(host) for host in self.hosts}
        alive = [name for name, one in hosts.items() if machine.pid(one) and not cgroups.is_frozen(one)]
        script = (HERE / "look.py").read_text()
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            told = pool.map(lambda host: self.lab("exec", host, "python3", "-c", script), alive)
            return dict(zip(alive, map(json.loads, told)))

    def processes(self, host: str, *words: str) -> list[int]:
        """Return the processes of a host whose command line begins with these words, by their ids of this machine."""
        groups = f"/{self.settings.name}-lab/{host}"
        return [pid for pid, argv in command_lines() if argv[: len(words)] == list(words) and groups in group_of(pid)]


def entry(name: str, count: int, group: bool = True, **more) -> dict:
    """Return an entry of virtfleet_instances: guests that say that they are ready, one on each host."""
    entry = {"name": name, "count": count, "flavor": "still", "image": "speak", "networks": [{"network": "lan"}]}
    return {**entry, "wait_for": "console", **({"server_group": name} if group else {}), **more}


def command_lines() -> Iterable[tuple[int, list[str]]]:
    """Yield the process id and the command line of each process of this machine."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                yield int(name), pathlib.Path("/proc", name, "cmdline").read_text(errors="replace").split("\0")
            except OSError:
                continue


def group_of(pid: int) -> str:
    """Return the control groups of a process, as text."""
    try:
        return pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def family(top: int) -> list[int]:
    """Return a process and all that come from it, youngest last."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = pathlib.Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(name))
    found = [top]
    for pid in found:
        found += parents.get(pid, [])
    return found


def kill_controller(process: subprocess.Popen) -> None:
    """The run is gone with all its workers, at once: none gets a chance to do or say anything more."""
    doomed = family(process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    for pid in [process.pid, *doomed, *family(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@dataclass
class Moment:
    """Something that happens once in a run, before, in or after a task.

    A task is given as a role, and if need be the beginning of its name: "undo : Unplug". What happens *in* a task waits
    until a module of ours runs on the host, and then so many seconds more.
    """

    fleet: Fleet
    where: str  # before, in, after
    task: str
    happens: Callable[[subprocess.Popen], None]
    host: str = ""
    seconds: float = 0.0
    came: bool = False
    _within: bool = False

    def see(self, line: str, process: subprocess.Popen) -> None:
        """Take note of a line that the run printed."""
        if self.came or not line.startswith(("TASK [", "PLAY RECAP")):
            return
        begins = line.startswith(f"TASK [virtfleet.compute.{self.task}")
        if self.where == "after":
            leaves, self._within = self._within and not begins, begins or self._within
            begins = leaves
        if not begins:
            return
        self.came = True
        if self.where == "in":
            self._wait_for_module()
        self.happens(process)

    def _wait_for_module(self) -> None:
        """A module of ours runs on the host, since so many seconds."""
        end = time.monotonic() + 15
        while self.host and not self.fleet.processes(self.host, "/usr/bin/python3") and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(self.seconds)


class Watch(threading.Thread):
    """Looks all the time whether a guest runs twice, in two processes of QEMU, anywhere in the lab."""

    def __init__(self, fleet: Fleet):
        super().__init__(daemon=True)
        self.fleet, self.twice, self.over = fleet, set(), threading.Event()

    def run(self) -> None:
        mark = f"/{self.fleet.settings.name}-lab/"
        while not self.over.wait(0.1):
            seen = set()
            for pid, argv in command_lines():
                if "qemu-system" in argv[0] and "-uuid" in argv and mark in group_of(pid):
                    uuid = argv[argv.index("-uuid") + 1]
                    if uuid in seen:
                        self.twice.add(uuid)
                    seen.add(uuid)
