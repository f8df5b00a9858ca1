# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a host: starts its daemons, starts them again when they end, and buries the dead at once.

At once, because libvirt's destroy waits until the guest's process is really gone.
"""

import os
import socket
import time

SOCKETS = {
    ("/usr/sbin/sshd", "-D", "-e"): "",
    ("/usr/sbin/virtlogd",): "/run/libvirt/virtlogd-sock",
    ("/usr/sbin/libvirtd",): "/run/libvirt/libvirt-sock",
}
PAUSE = 0.5  # between two starts of a daemon that does not stay
FOLDERS = ("/run/sshd", "/run/lock", "/run/libvirt")


def start(argv: tuple, pause: float = 0) -> int:
    """Start a daemon, with a log of its own, after so many seconds; return its process id at once."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    time.sleep(pause)
    while answers(SOCKETS[argv]):  # somebody else has restarted it: be there when that one ends
        time.sleep(1)
    log = os.open(f"/var/log/{os.path.basename(argv[0])}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.execv(argv[0], argv)


def answers(path: str) -> bool:
    """Tell whether a daemon listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
        return True


def main() -> None:
    for folder in FOLDERS:
        os.makedirs(folder, exist_ok=True)
    running = {start(argv): argv for argv in SOCKETS}
    while True:
        pid, _status = os.wait()
        if pid in running:
            argv = running.pop(pid)
            running[start(argv, PAUSE)] = argv


if __name__ == "__main__":
    main()
