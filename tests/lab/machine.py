# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power on, power loss, and looking inside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cgroups
import disk
import rootfs
import switch
from settings import GUEST, HERE, Host, LabError

NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
BOOT_DEADLINE = 60


def pid(host: Host) -> int:
    """Return the process id of the host's first process, 0 if the host is off."""
    try:
        number, born = host.pid_file.read_text().split()
    except FileNotFoundError:
        return 0
    return int(number) if _born(int(number)) == born else 0


def _born(number: int) -> str:
    """Return when a process was started, in the kernel's own ticks; nothing of one that is dead."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def start(host: Host) -> None:
    """The host is powered on; it may not answer yet."""
    if pid(host):
        return
    for folder in (host.disk, host.folder / "work", host.folder / "root"):
        folder.mkdir(parents=True, exist_ok=True)
    switch.unplug(host)
    with host.log.open("a") as log:
        told = subprocess.run(
            [sys.executable, str(HERE / "inside.py"), json.dumps(_description(host))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
            start_new_session=True,
        )
    answer = json.loads(told.stdout or '{"pid": 0, "error": "it said nothing"}')
    if answer["error"]:
        raise LabError(f"{host.name} does not start: {answer['error']}: see {host.log}")
    host.pid_file.write_text(f"{answer['pid']} {_born(answer['pid'])}")
    switch.connect(host.lab, host.name)


def _description(host: Host) -> dict:
    """Return what inside.py has to know."""
    binds = {str(host.lab.shared): "srv/lab"}
    if GUEST.is_dir():
        binds[str(GUEST)] = str(GUEST).lstrip("/")
    return {
        "name": host.name,
        "mac": host.mac,
        "address": f"{host.address}/{host.lab.subnet.prefixlen}",
        "gateway": host.lab.controller,
        "switch": host.lab.switch,
        "groups": [str(group) for group in cgroups.ensure(host)],
        "hierarchies": {str(where): options for where, options in cgroups.hierarchies().items()},
        "lower": str(rootfs.path()),
        "disk": str(host.disk),
        "work": str(host.folder / "work"),
        "root": str(host.folder / "root"),
        "binds": binds,
        "init": str(HERE / "init.py"),
    }


def wait(hosts: list[Host]) -> None:
    """All these hosts answer: their SSH greets, and their libvirt listens."""
    end = time.monotonic() + BOOT_DEADLINE
    for host in hosts:
        while not (greets(host) and listens(host)):
            if not pid(host) or time.monotonic() > end:
                raise LabError(f"{host.name} does not answer: see {host.log} and {host.disk}/var/log")
            time.sleep(0.05)


def greets(host: Host, timeout: float = 1) -> bool:
    """Tell whether somebody is there: a frozen host still takes connections, and says nothing."""
    try:
        with socket.create_connection((host.address, 22), timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def listens(host: Host) -> bool:
    """Tell whether the host's libvirt takes connections."""
    path = f"/proc/{pid(host)}/root/run/libvirt/libvirt-sock"
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
        return True


def kill(host: Host) -> None:
    """The host has lost its power: nothing of it runs, nothing was said, the disk is as it was."""
    switch.unplug(host)
    number = pid(host)
    if number:
        os.kill(number, signal.SIGKILL)
        cgroups.freeze(host, frozen=False)  # a frozen process does not die
        end = time.monotonic() + 30
        while pid(host):
            if time.monotonic() > end:
                raise LabError(f"{host.name}: process {number} does not die")
            time.sleep(0.01)
    host.pid_file.unlink(missing_ok=True)
    cgroups.remove(host)


def execute(host: Host, words: list[str]) -> int:
    """Run a command inside the host, as its root, past its SSH; return its exit code."""
    number = pid(host)
    if not number:
        raise LabError(f"{host.name} is off: run `lab boot {host.name}`")
    inside = [
        "nsenter",
        "--target",
        str(number),
        *NAMESPACES,
        f"--root=/proc/{number}/root",
        f"--wd=/proc/{number}/root",
    ]
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return subprocess.run([*inside, "env", "-i", path, "HOME=/root", "TERM=linux", *words], check=False).returncode


def state(host: Host) -> str:
    """Return what can be said of the host in one word."""
    if not pid(host):
        return "off"
    if cgroups.is_frozen(host):
        return "frozen"
    if switch.is_cut(host):
        return "cut"
    return "up" if greets(host) else "starting"


def forget(host: Host) -> None:
    """The host is off and its disk is gone."""
    kill(host)
    disk.wipe(host.folder)
