# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server with the vices of real ones, and images made by the real qemu-img."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import subprocess
import threading
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, image
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

BLOCK = 64 * 1024


class WebServer(http.server.ThreadingHTTPServer):
    """Serves `files` (path -> bytes). The attributes are its vices; `requests` is what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests = {}, []
        self.ranges = True  # does it know Range?
        self.length = True  # does it tell the length?
        self.cut = None  # close the connection after so many bytes of a body
        self.delay = 0.0  # seconds between two blocks
        self.etag = '"1"'
        self.redirect = None
        self.lie = 0  # what the told length is more than the true one
        self.shift = 0  # where a continued answer begins, beside where it should

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        """A client that went away in the middle is what the tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.requests.append((self.path, asked))
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            return self.end_headers()
        if self.path not in server.files:
            return self.send_error(404)
        body = server.files[self.path]
        start = int(re.match(r"bytes=(\d+)-", asked or "bytes=0-")[1])
        fresh = self.headers.get("If-Range") in (None, server.etag)
        if not (server.ranges and fresh):
            start = 0
        if start and start >= len(body):
            return self.send_error(416)
        start += server.shift if start else 0
        self.send_response(206 if server.ranges and asked and fresh else 200)
        if server.ranges and asked and fresh:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body) + server.lie}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.length:
            self.send_header("Content-Length", str(len(body) - start + server.lie))
        self.end_headers()
        end = len(body) if server.cut is None else min(len(body), start + server.cut)
        for position in range(start, end, BLOCK):
            self.wfile.write(body[position : min(end, position + BLOCK)])
            time.sleep(server.delay)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web():
    server = WebServer()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def qemu_img(tmp_path):
    """A function that runs the real qemu-img in the test's directory."""

    def call(*arguments):
        subprocess.run(["qemu-img", *map(str, arguments)], cwd=tmp_path, check=True, capture_output=True)

    return call


@pytest.fixture(scope="session")
def disk(tmp_path_factory):
    """The bytes of a good qcow2 of 8 MiB with some content."""
    directory = tmp_path_factory.mktemp("disk")
    (directory / "raw").write_bytes(bytes(range(256)) * 4096 + bytes(7 * 2**20))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "raw", "good.qcow2"]
    subprocess.run(command, cwd=directory, check=True)
    return (directory / "good.qcow2").read_bytes()


class Host:
    """A host of the test: its cache and what it wants from the server."""

    def __init__(self, directory, web, disk):
        self.images, self.run_dir, self.web = str(directory / "images"), str(directory / "run"), web
        web.files["/disk.qcow2"] = disk
        self.digest = "sha256:" + hashlib.sha256(disk).hexdigest()

    def image(self, **changes):
        wanted = {"name": "disk", "url": self.web.url("/disk.qcow2"), "checksum": self.digest, "disk_format": "qcow2"}
        return image.from_record({**wanted, **changes})

    def ensure(self, seconds=0, limits=cache.NO_LIMITS, peers=(), **changes):
        deadline = time.monotonic() + seconds if seconds else None
        return cache.ensure(self.images, self.run_dir, self.image(**changes), deadline, limits, peers)

    def refusal(self, **changes):
        with pytest.raises(ItemError) as raised:
            self.ensure(**changes)
        assert cache.find(self.images, self.image(**changes)) is None
        assert not [name for name in self.names() if name.endswith((".qcow2", ".raw"))]
        return str(raised.value), raised.value.fault

    def names(self):
        return sorted(os.listdir(self.images))


@pytest.fixture
def host(tmp_path, web, disk):
    return Host(tmp_path, web, disk)
