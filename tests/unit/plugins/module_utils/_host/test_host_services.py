# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services without systemd, with a real daemon of a few lines; and the reading of systemctl."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sys
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._host import services
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

DAEMON = """
import os, socket, sys, time
if os.fork():
    sys.exit()
os.setsid()
if not os.fork():  # before there is a socket, which a slow one would keep open
    os.setsid()
    open(sys.argv[1] + ".guest", "w").write(str(os.getpid()))
    time.sleep(60)
    sys.exit()
server = socket.socket(socket.AF_UNIX)
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
server.bind(sys.argv[1])
server.listen()
time.sleep(60)
"""


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "systemd", lambda: False)
    path = str(tmp_path / "socket")
    yield services.Service("vfh-daemon", path, (), (sys.executable, "-c", DAEMON, path), reap=True)
    if os.path.exists(path):
        process = services.listener(path)
        if process > 0:
            os.kill(process, signal.SIGKILL)
    if os.path.exists(path + ".guest"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pathlib.Path(path + ".guest").read_text()), signal.SIGKILL)


def test_a_service_is_started_once_and_stopped(daemon):
    assert services.wrong(daemon) == "not running"
    services.start(daemon)
    first = services.listener(daemon.socket)
    services.start(daemon)
    assert services.wrong(daemon) == ""
    assert services.listener(daemon.socket) == first > 0
    services.stop(daemon)
    assert services.listener(daemon.socket) == 0


def test_a_restart_is_another_process(daemon):
    services.start(daemon)
    first = services.listener(daemon.socket)
    services.restart(daemon)
    assert services.listener(daemon.socket) not in (0, first)


def test_what_the_service_started_is_reaped_at_once(daemon):
    services.start(daemon)
    for dummy in range(100):
        if os.path.exists(daemon.socket + ".guest"):
            break
        time.sleep(0.05)
    guest = int(pathlib.Path(daemon.socket + ".guest").read_text())
    services.stop(daemon)
    os.kill(guest, signal.SIGKILL)
    time.sleep(0.2)
    assert not os.path.exists(f"/proc/{guest}")


def test_a_service_without_a_program_says_so(daemon):
    with pytest.raises(ItemError, match="no program /no/such"):
        services.start(services.Service("x", daemon.socket, (), ("/no/such",)))


def test_a_service_that_does_not_answer_says_so(daemon, monkeypatch):
    monkeypatch.setattr(services, "START_DEADLINE", 0.2)
    with pytest.raises(ItemError, match=r"x does not answer on .* after 0.2 seconds"):
        services.start(services.Service("x", daemon.socket, (), ("/bin/true",)))


def test_units_that_would_not_start_at_boot_are_named():
    units = ["a.socket", "b.service", "c.service", "d.socket"]
    assert services.disabled_units("enabled\ndisabled\nstatic\nmasked\n", units) == ["b.service", "d.socket"]
