# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Become a host: new namespaces, its own file systems and network, and then its first process.

Run by machine.py with what it needs to know as JSON; prints the process id of the host's first process.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

CLONE = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000  # mnt uts ipc pid net
CLONE_NEWCGROUP = 0x02000000
MNT_DETACH = 2
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
INIT = "/run/lab-init.py"

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """Do a system call; OSError if it fails."""
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def run(*words: object) -> None:
    """Run a command; it must not fail."""
    subprocess.run([str(word) for word in words], check=True)


def mount(kind: str, target: Path, options: str = "") -> None:
    """A file system of that kind is mounted, on a folder that is made for it."""
    target.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", kind, *(["-o", options] if options else []), kind, target)


def bind(source: Path, target: Path, read_only: bool = False) -> None:
    """The folder is seen in a second place too."""
    target.mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", source, target)
    if read_only:
        run("mount", "-o", "remount,bind,ro", target)


def join_groups(groups: list[str]) -> None:
    """This process is in the control groups of the host, which then are the topmost it can see."""
    for group in groups:
        Path(group, "cgroup.procs").write_text("0")  # whoever writes it
    call("unshare", CLONE_NEWCGROUP)


def plug(host: dict) -> None:
    """The host has a network card with a cable to the switch, and a bridge on it that guests can be put on."""
    peer = ["peer", "name", host["name"], "netns", host["switch"]]
    run("ip", "link", "add", "eth0", "address", host["mac"], "type", "veth", *peer)
    run("ip", "link", "add", "br0", "address", host["mac"], "type", "bridge", "forward_delay", 0)
    run("ip", "link", "set", "eth0", "master", "br0", "up")
    run("ip", "link", "set", "br0", "up")
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", host["address"], "dev", "br0")
    run("ip", "route", "add", "default", "via", host["gateway"])


def make_proc_and_sys(root: Path) -> None:
    """The host sees its own processes and interfaces; only settings of its own network can change."""
    mount("proc", root / "mnt")
    mount("proc", root / "proc")
    bind(root / "proc/sys", root / "proc/sys", read_only=True)
    run("mount", "--bind", root / "mnt/sys/net", root / "proc/sys/net")
    run("umount", root / "mnt")
    if (root / "proc/sysrq-trigger").exists():
        run("mount", "--bind", "/dev/null", root / "proc/sysrq-trigger")
    mount("sysfs", root / "sys")
    bind(root / "sys/devices/virtual/net", root / "sys/devices/virtual/net")
    run("mount", "-o", "remount,bind,ro", root / "sys")


def make_cgroups(root: Path, hierarchies: dict[str, str]) -> None:
    """The host has the hierarchies of this machine in the same places, each with its own group as the top."""
    top = root / "sys/fs/cgroup"
    if list(hierarchies.values()) != [""]:
        mount("tmpfs", top, "mode=755")
    for where, options in hierarchies.items():
        target = top if where == "/sys/fs/cgroup" else top / Path(where).name
        mount("cgroup" if options else "cgroup2", target, options)
        if not options:
            leave_top_group(target)


def leave_top_group(top: Path) -> None:
    """In version 2 a group with processes cannot have limited groups below it, so the host's own go one down."""
    (top / "init").mkdir(exist_ok=True)
    (top / "init/cgroup.procs").write_text("1")
    for controller in (top / "cgroup.controllers").read_text().split():
        (top / "cgroup.subtree_control").write_text(f"+{controller}")


def make_dev(root: Path) -> None:
    """The host has the devices that any container has, and /dev/net/tun. It has no /dev/kvm: guests are emulated."""
    dev = root / "dev"
    mount("tmpfs", dev, "mode=755,size=1m")
    (dev / "net").mkdir()
    for name, numbers in {**DEVICES, "net/tun": (10, 200)}.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        (dev / name).chmod(0o666)
    mount("devpts", dev / "pts", "newinstance,ptmxmode=0666,mode=0620,gid=5")
    mount("tmpfs", dev / "shm", "mode=1777")
    for name, target in {
        "ptmx": "pts/ptmx",
        "fd": "/proc/self/fd",
        "stdin": "fd/0",
        "stdout": "fd/1",
        "stderr": "fd/2",
    }.items():
        (dev / name).symlink_to(target)


def make_root(host: dict) -> Path:
    """All file systems of the host are mounted, seen by nobody else."""
    root = Path(host["root"])
    run("mount", "--make-rprivate", "/")
    layers = f"lowerdir={host['lower']},upperdir={host['disk']},workdir={host['work']}"
    mount("overlay", root, layers)
    make_proc_and_sys(root)
    make_cgroups(root, host["hierarchies"])
    make_dev(root)
    mount("tmpfs", root / "run", "mode=755")
    mount("tmpfs", root / "tmp", "mode=1777")
    for source, target in host["binds"].items():
        bind(Path(source), root / target, read_only=True)
    (root / INIT.lstrip("/")).write_text(Path(host["init"]).read_text())
    return root


def switch_root(root: Path) -> None:
    """The file systems of the host are all that this process can see."""
    old = root / "mnt"
    run("pivot_root", root, old)
    os.chdir("/")
    call("umount2", b"/mnt", MNT_DETACH)


def become(host: dict) -> None:
    """This process is the first of the host."""
    join_groups(host["groups"])
    socket.sethostname(host["name"])
    plug(host)
    switch_root(make_root(host))
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    os.execve("/usr/bin/python3", ["init", "-S", INIT], environment)


def main() -> None:
    host = json.loads(sys.argv[1])
    call("unshare", CLONE)
    read_end, write_end = os.pipe()  # closes when the first process has become the host's own, or died
    pid = os.fork()
    if pid:
        os.close(write_end)
        why = os.read(read_end, 4096).decode()
        print(json.dumps({"pid": pid, "error": why}))
        return
    os.close(read_end)
    os.setsid()
    try:
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(2, 1)
        become(host)
    except Exception as error:
        os.write(write_end, str(error).encode())
        os._exit(1)


if __name__ == "__main__":
    main()
