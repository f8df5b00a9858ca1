# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong: each fault is a function that does it, and one that ends it, on a host of the fleet."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

from fleet import Fleet, kill_controller

FOLDER = "/var/lib/virtfleet/instances"
REGISTRY = "/var/lib/virtfleet/registry"
FULL = f"""set -e
mount --bind {FOLDER} /mnt
mount -t tmpfs -o size=1M tmpfs {FOLDER}
touch {FOLDER}/stranger.txt && mount --bind /mnt/stranger.txt {FOLDER}/stranger.txt
for one in /mnt/*/; do
    name=$(basename "$one"); mkdir {FOLDER}/$name; mount --bind "$one" {FOLDER}/$name
done
umount /mnt
dd if=/dev/zero of={FOLDER}/.filler bs=1k 2>/dev/null || true"""


def nothing(fleet: Fleet, host: str) -> None:
    """Nothing is to be ended."""


def kill_run(_fleet: Fleet, _host: str, process: subprocess.Popen) -> None:
    """The controller loses its power: the run and all its workers are gone; what runs on hosts runs on."""
    kill_controller(process)


def kill_module(fleet: Fleet, host: str, _process: subprocess.Popen) -> None:
    """The module that runs on the host is killed, as the kernel does when memory is short."""
    for pid in fleet.processes(host, "/usr/bin/python3"):
        os.kill(pid, signal.SIGKILL)


def cut(fleet: Fleet, host: str, _process: object = None) -> None:
    """The cable of the host is pulled."""
    fleet.lab("cut", host)


def heal(fleet: Fleet, host: str) -> None:
    """The cable of the host is in again."""
    fleet.lab("heal", host)


def end_ssh(fleet: Fleet, host: str, _process: object = None) -> None:
    """All SSH connections of the host are cut, and with them what ran in them; it takes new ones."""
    for pid in fleet.processes(host, "sshd: root"):
        os.kill(pid, signal.SIGKILL)
    kill_module(fleet, host, _process)


def kill_libvirtd(fleet: Fleet, host: str, _process: object = None) -> None:
    """libvirtd of the host dies; it is started again after half a second."""
    fleet.inside(host, "pkill -9 -x libvirtd", check=False)


def kill_virtlogd(fleet: Fleet, host: str, _process: object = None) -> None:
    """virtlogd of the host dies, through which guests write their consoles; it is started again as above."""
    fleet.inside(host, "pkill -9 -x virtlogd", check=False)


def wait_for_libvirtd(fleet: Fleet, host: str) -> None:
    """libvirtd of the host answers again."""
    for _try in range(100):
        if "running" in fleet.inside(host, "virsh -q domstate stranger 2>&1", check=False):
            return
        time.sleep(0.1)


def power_off(fleet: Fleet, host: str, _process: object = None) -> None:
    """The host loses its power."""
    fleet.lab("kill", host)


def power_on(fleet: Fleet, host: str) -> None:
    """The host has its power back; what was only in its memory is gone, a stranger's things too."""
    fleet.lab("boot", host)
    fleet.furnish()


def fill_disk(fleet: Fleet, host: str, _process: object = None) -> None:
    """There is no room for a disk: a small full file system is over the folder of instances, with what was there."""
    fleet.inside(host, FULL)


def empty_disk(fleet: Fleet, host: str) -> None:
    """The file system has room again."""
    fleet.inside(host, f"umount -l {FOLDER}")


def corrupt(how: str) -> Callable[..., None]:
    """Return what does this to the registry's file, which is on the first host."""

    def do(fleet: Fleet, _host: str, _process: object = None) -> None:
        """The file of the registry is damaged."""
        fleet.inside("kvm1", f"cd {REGISTRY} && {how}")

    return do


def freeze(fleet: Fleet, host: str, _process: object = None) -> None:
    """The host hangs: it takes connections and says nothing."""
    fleet.lab("freeze", host)


def thaw(fleet: Fleet, host: str) -> None:
    """The host goes on."""
    fleet.lab("thaw", host)


# What people call it -> what happens, what ends it.
FAULTS: dict[str, tuple[Callable[..., None], Callable[[Fleet, str], None]]] = {
    "the controller is killed": (kill_run, nothing),
    "the module on the host is killed": (kill_module, nothing),
    "the SSH connections of the host are cut": (end_ssh, nothing),
    "the cable of the host is pulled": (cut, heal),
    "the host hangs": (freeze, thaw),
    "libvirtd of the host is killed": (kill_libvirtd, wait_for_libvirtd),
    "virtlogd of the host is killed": (kill_virtlogd, wait_for_libvirtd),
    "the host loses its power": (power_off, power_on),
    "the host has no disk space left": (fill_disk, empty_disk),
    "the registry's file is cut in half": (
        corrupt("rm -f registry.db-*; truncate -s $(($(stat -c %s registry.db) / 2)) registry.db"),
        nothing,
    ),
    "the registry's file begins with garbage": (
        corrupt("rm -f registry.db-*; head -c 4096 /dev/urandom | dd of=registry.db conv=notrunc 2>/dev/null"),
        nothing,
    ),
    "the registry's file is empty": (corrupt("rm -f registry.db-*; : > registry.db"), nothing),
    "the registry's file is gone": (corrupt("rm -f registry.db*"), nothing),
}
