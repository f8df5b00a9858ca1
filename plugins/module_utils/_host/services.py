# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons of the host: running or not, started with or without systemd. Private to this collection."""

from __future__ import annotations

import glob
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._model.errors import ItemError

START_DEADLINE = 30
# libvirt's destroy waits until the guest's process is reaped. Guests are children of PID 1, and where that is no real
# init it may take seconds; so the daemon gets a parent that adopts the guests and reaps them at once.
REAPER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


@dataclass(frozen=True)
class Service:
    """A daemon.

    Args:
        name: what people call it.
        socket: path of the UNIX socket it answers on.
        units: systemd units to enable and start.
        command: how to start it in the background where there is no systemd.
        reap: whether its own children are reaped for it where there is no systemd.
    """

    name: str
    socket: str
    units: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    reap: bool = False


def service(item: Mapping[str, Any]) -> Service:
    """Return the service that a user wrote down."""
    units, command = tuple(item.get("units") or ()), tuple(item.get("command") or ())
    return Service(item["name"], item["socket"], units, command, bool(item.get("reap")))


def systemd() -> bool:
    """Return whether systemd runs this host."""
    return os.path.isdir("/run/systemd/system")


def listener(path: str) -> int:
    """Return the process id of who answers on the socket, 0 if nobody does."""
    for one in glob.glob(path):  # some daemons have their process id in the name
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(one)
            except OSError:
                continue
            return struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0] or -1
    return 0


def disabled_units(listing: str, units: Sequence[str]) -> list[str]:
    """Return the units that would not start at boot, from `systemctl is-enabled` of all of them in turn."""
    return [unit for unit, state in zip(units, listing.split()) if state in ("disabled", "masked", "not-found")]


def wrong(daemon: Service) -> str:
    """Return what is wrong with the service in a few words, or an empty string."""
    if not listener(daemon.socket):
        return "not running"
    if systemd() and daemon.units:
        listing = subprocess.run(
            ["systemctl", "is-enabled", *daemon.units], capture_output=True, text=True, check=False
        ).stdout
        off = disabled_units(listing, daemon.units)
        return f"not started at boot: {', '.join(off)}" if off else ""
    return ""


def start(daemon: Service) -> None:
    """Leave the service running, and with systemd also enabled."""
    if systemd():
        _systemctl("enable", daemon)
        _systemctl("start", daemon)
    elif not listener(daemon.socket):
        _spawn(daemon)
    _wait(lambda: listener(daemon.socket) != 0, f"{daemon.name} does not answer on {daemon.socket}", daemon)


def restart(daemon: Service) -> None:
    """Leave the service running with the configuration it finds now; guests go on."""
    if systemd():
        _systemctl("restart", daemon)
    else:
        stop(daemon)
    start(daemon)


def stop(daemon: Service) -> None:
    """Leave nobody answering on the socket of a service that was started without systemd."""
    process = listener(daemon.socket)
    if process > 0:
        os.kill(process, signal.SIGTERM)
        _wait(lambda: not _alive(process), f"{daemon.name} (process {process}) does not end", daemon)


def _alive(process: int) -> bool:
    """Return whether the process still runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _systemctl(verb: str, daemon: Service) -> None:
    """Do that to all units of the daemon."""
    done = subprocess.run(["systemctl", verb, *daemon.units], capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise ItemError(f"cannot {verb} {daemon.name}: {words[0]}: see journalctl -u {daemon.units[0]}")


def _spawn(daemon: Service) -> None:
    """Start the daemon in the background, out of this process's session."""
    if not daemon.command or not os.access(daemon.command[0], os.X_OK):
        raise ItemError(f"cannot start {daemon.name}: no program {' '.join(daemon.command[:1]) or 'given'}")
    argv = [sys.executable, "-c", REAPER, *daemon.command] if daemon.reap else list(daemon.command)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen(argv, cwd="/", start_new_session=True, **quiet)


def _wait(done: Callable[[], bool], complaint: str, daemon: Service) -> None:
    """Return as soon as it is done; complain after the deadline."""
    end = time.monotonic() + START_DEADLINE
    while not done():
        if time.monotonic() > end:
            where = f"journalctl -u {daemon.units[-1]}" if systemd() and daemon.units else "its log below /var/log"
            raise ItemError(f"{complaint} after {START_DEADLINE} seconds: see {where}")
        time.sleep(0.05)
