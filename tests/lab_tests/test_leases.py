# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several controllers: two runs at once, a run that outlives its lease, and one that dies with it."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from base64 import b64decode
from contextlib import suppress

import pytest

from .conftest import CELLS, ENVIRONMENT, NET, ROOT, instance

# Longer than all that a run does after it has the image, as nothing renews it there.
LEASE = 30
SHORT = {"claim_lease": LEASE, "image_slice": 3}
# A controller of its own, for all that the other can see: the processes of one are not those of the other.
ELSEWHERE = ("unshare", "--pid", "--fork", "--mount-proc")


class Slow(http.server.ThreadingHTTPServer):
    """Serves one image in so many seconds."""

    daemon_threads = True

    def __init__(self, content: bytes, seconds: float):
        self.content, self.seconds = content, seconds
        super().__init__((NET.replace(".0.0/16", ".0.1"), 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def image(self) -> dict:
        """Return the entry of virtfleet_images."""
        url = f"http://{self.server_address[0]}:{self.server_address[1]}/slow.raw"
        return {"url": url, "checksum": f"sha256:{hashlib.sha256(self.content).hexdigest()}", "disk_format": "raw"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers in twenty pieces, from where it is asked to: where a server cannot resume there are no slices."""

    def do_GET(self):
        content = self.server.content
        start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
        self.send_response(206)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        piece = -(-len(content) // 20)
        for begin in range(start, len(content), piece):
            self.wfile.write(content[begin : begin + piece])
            self.wfile.flush()
            time.sleep(self.server.seconds / 20)

    def handle(self):
        """Answer; who asks may have gone at the end of a slice."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def slow(fleet):
    """An image that takes three leases to fetch, another one for each test."""
    content = b64decode(fleet.lab("exec", "kvm1", "base64", "/srv/lab/halt.raw"))
    with Slow(content[:-16] + os.urandom(16), 3 * LEASE) as server:
        yield server
        server.shutdown()


class Started:
    """A run of boot.yml that goes on beside the test."""

    def __init__(self, *instances: dict, prefix=(), more_arguments=(), **more):
        variables = json.dumps({"virtfleet_instances": list(instances), **more})
        command = [*prefix, "ansible-playbook", "-i", "inventories/lab", "playbooks/boot.yml", "-e", variables]
        command += more_arguments
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def until(self, word: str) -> None:
        """Wait for a line that begins so."""
        for line in self.process.stdout:
            if line.startswith(word):
                return
        raise RuntimeError(f"it ended without a line '{word}'")

    def end(self) -> tuple[int, str]:
        """Return its exit code and the rest of what it printed."""
        output, _nothing = self.process.communicate(timeout=300)
        return self.process.returncode, output

    def kill(self) -> None:
        """It and all its processes are gone at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def names(fleet) -> list[str]:
    """Return the names of all running domains, one that runs twice twice."""
    return sorted(
        name for host in fleet.hosts for name in fleet.lab("exec", host, "virsh", "-q", "list", "--name").split()
    )


def test_two_runs_of_one_specification_at_the_same_moment(fleet):
    web = instance("web", count=4)
    runs = [Started(web), Started(web, prefix=ELSEWHERE)]
    ends = [run.end() for run in runs]
    assert names(fleet) == ["web-1", "web-2", "web-3", "web-4"], ends
    assert 0 in [code for code, _output in ends], ends
    assert all(code == 0 or "is at work on it until" in output for code, output in ends), ends
    again = fleet.boot(web)
    assert (again.code, again.changed) == (0, 0), again.output
    assert fleet.audit().code == 0


def seconds_left(fleet, name: str, host: str = "kvm1", registry: str = "registry") -> float:
    """Return for how long the claim of an instance is still its run's alone, by the registry and its host's clock."""
    query = (
        "import sqlite3; registry = sqlite3.connect('/var/lib/virtfleet/registry/%s.db'); "
        "left = \"(julianday(lease_until) - julianday('now')) * 86400\"; "
        "print(*registry.execute('select ' + left + ' from instances where name = ?', ['%s']).fetchone())"
    )
    return float(fleet.lab("exec", host, "python3", "-c", query % (registry, name)))


def test_a_run_that_is_longer_than_its_lease_keeps_it(fleet, slow):
    two, images = instance("two", image="slow", count=2), {"slow": slow.image}
    run = Started(two, virtfleet_images=images, **SHORT)
    run.until("claim")
    began = time.monotonic()
    while time.monotonic() < began + 1.2 * LEASE:
        time.sleep(2)
        assert seconds_left(fleet, "two-1") > 0 and seconds_left(fleet, "two-2") > 0
    code, output = Started(two, prefix=ELSEWHERE, virtfleet_images=images, **SHORT).end()
    assert code != 0 and output.count("is at work on it until") >= 2, output
    code, output = run.end()
    assert code == 0 and time.monotonic() - began > 1.5 * LEASE, output
    assert {state for _host, state in fleet.claims().values()} == {"active"} and names(fleet) == ["two-1", "two-2"]


def test_a_run_that_waits_for_a_guest_longer_than_its_lease_keeps_it(fleet):
    more = {"claim_lease": LEASE, "ready_timeout": 1.5 * LEASE, "ready_slice": 3, "virtfleet_max_attempts": 1}
    run = Started(instance("one", wait_for="console"), **more)
    run.until("domain")
    began = time.monotonic()
    while time.monotonic() < began + 1.2 * LEASE:
        time.sleep(2)
        assert seconds_left(fleet, "one") > 0
    code, output = run.end()
    assert code != 0 and "still waiting for" in output, output
    assert names(fleet) == [] and fleet.claims() == {}


def test_a_run_over_cells_keeps_its_claims_in_the_cell_and_in_the_top_registry(cells):
    more = {"virtfleet_cells": {"east": {}, "west": {}}, "more_arguments": CELLS}
    times = {"claim_lease": LEASE, "ready_timeout": 1.5 * LEASE, "ready_slice": 3, "virtfleet_max_attempts": 1}
    run = Started(instance("pin", cell="west", wait_for="console"), **more, **times)
    run.until("domain")
    began = time.monotonic()
    while time.monotonic() < began + 1.2 * LEASE:
        time.sleep(2)
        assert seconds_left(cells.fleet, "pin", "kvm3", "cell-west") > 0 and seconds_left(cells.fleet, "pin") > 0
    code, output = run.end()
    assert code != 0 and "still waiting for" in output, output
    assert names(cells.fleet) == [] and cells.claims("cell-west") == cells.claims("registry") == []


def test_what_a_killed_run_left_is_taken_over_when_its_lease_is_over(fleet, slow):
    one, images = instance("one", image="slow"), {"slow": slow.image}
    run = Started(one, virtfleet_images=images, **SHORT)
    run.until("claim")
    time.sleep(1.2 * LEASE)
    run.kill()
    host = fleet.claims()["one"][0]
    left = seconds_left(fleet, "one")
    assert 0 < left <= LEASE
    slow.seconds = 1
    time.sleep(left + 1)
    assert seconds_left(fleet, "one") < 0
    code, output = Started(one, prefix=ELSEWHERE, virtfleet_images=images, **SHORT).end()
    assert code == 0, output
    assert fleet.claims()["one"] == (host, "active") and names(fleet) == ["one"]
    assert fleet.audit().code == 0
