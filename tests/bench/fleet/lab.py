# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that is measured: its hosts, a playbook over some of them, and what a stage of it costs the controller."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
STAGE = re.compile(r"^([a-z_]+)\s+\d.*?([\d.]+) s$")
TICK = os.sysconf("SC_CLK_TCK")
ENVIRONMENT = {
    **os.environ,
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "ANSIBLE_NOCOLOR": "1",
    "COLUMNS": "200",
    "PYTHONUNBUFFERED": "1",
}
PING = [{"hosts": "compute", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]}]
# As playbooks/boot.yml has it.
ROLE = {"name": "virtfleet.compute.host_info", "rolespec_validate": False}
HOST_INFO = [{"hosts": "compute", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": ROLE}]}]
SIZES = [
    {
        **HOST_INFO[0],
        "tasks": [
            *HOST_INFO[0]["tasks"],
            {"ansible.builtin.debug": {"msg": "size {{ virtfleet_host_info.host | to_json | length }}"}},
        ],
    }
]


@dataclass
class Timed:
    """A run: wall seconds, CPU seconds of the controller, and of each stage both."""

    seconds: float
    cpu: float
    stages: dict[str, dict[str, float]]
    output: str = field(repr=False)

    def without(self, *stages: str) -> float:
        """Return the wall seconds without those of some stages."""
        return self.seconds - sum(self.stages.get(stage, {}).get("seconds", 0) for stage in stages)

    def as_row(self, **more) -> dict:
        """Return what is kept of it."""
        rounded = {name: {key: round(value, 2) for key, value in one.items()} for name, one in self.stages.items()}
        return {**more, "seconds": round(self.seconds, 2), "controller_cpu": round(self.cpu, 2), "stages": rounded}


def lab(*words: str) -> str:
    """Return what the lab's own command prints."""
    done = subprocess.run(
        [ROOT / "tests/lab/lab", *words], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"lab {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def inventory(folder: pathlib.Path, hosts: int) -> pathlib.Path:
    """Write an inventory of the first so many hosts of the lab, with the settings of inventories/lab; return it."""
    told = json.loads(lab("inventory"))
    names = told["compute"]["hosts"][:hosts]
    top = folder / f"hosts-{hosts}"
    top.mkdir(parents=True, exist_ok=True)
    compute = {"hosts": {name: told["_meta"]["hostvars"][name] for name in names}, "vars": told["compute"]["vars"]}
    children = {"compute": compute, "registry": {"hosts": {names[0]: {}}}}
    (top / "hosts.json").write_text(json.dumps({"all": {"vars": told["all"]["vars"], "children": children}}))
    group_vars = top / "group_vars"
    if not group_vars.exists():
        group_vars.symlink_to(ROOT / "inventories/lab/group_vars")
    return top


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def play(inventory_path: pathlib.Path, playbook: object, *arguments: str, must: bool = True, **variables) -> Timed:
    """Run a playbook, a file of ours or a list of plays, and say what it took."""
    path = str(ROOT / "playbooks" / playbook) if isinstance(playbook, str) else str(_written(inventory_path, playbook))
    command = ["ansible-playbook", "-i", str(inventory_path), path, "-e", json.dumps(variables), *arguments]
    began, lines, stages = time.perf_counter(), [], {}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, **pipes)
    last = cpu = 0.0
    for line in process.stdout:
        lines.append(line)
        cpu = max(cpu, cpu_of(process.pid))
        found = STAGE.match(line.strip())
        if found and found[1] != "total":
            stages[found[1]] = {"seconds": float(found[2]), "controller_cpu": cpu - last}
            last = cpu
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds, output = time.perf_counter() - began, "".join(lines)
    if process.returncode and must:
        raise SystemExit(f"{' '.join(command)}\n{output[-6000:]}")
    return Timed(seconds, usage.ru_utime + usage.ru_stime, stages, output)


def _written(folder: pathlib.Path, plays: list) -> pathlib.Path:
    """Return the file that these plays are written to."""
    path = folder.parent / f"{abs(hash(json.dumps(plays)))}.json"
    path.write_text(json.dumps(plays))
    return path
