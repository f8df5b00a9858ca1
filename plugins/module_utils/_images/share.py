# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host hands cached images to others for a while: an HTTP server that ends by itself and can read nothing else.

It has the images open and no other file, runs as nobody, and answers only who knows a path that was made for this time.
The others compare what they get with the digest that they were told over SSH.
"""

from __future__ import annotations

import hmac
import http.server
import ipaddress
import os
import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from typing import Any

NOBODY = 65534
MOST_TRANSFERS = 64
STALL = 30  # seconds that a client may take for a piece


class Server(http.server.ThreadingHTTPServer):
    """Serves open files by secret paths until nobody has asked for so many seconds."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, files: dict[str, tuple[int, str]], idle: float) -> None:
        """Take over the listening socket; `files` are descriptor and digest by path."""
        super().__init__(listener.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.files, self.idle = files, idle
        self.last, self.transfers, self.lock = time.monotonic(), 0, threading.Lock()

    def count(self, change: int) -> int:
        """Note that a transfer began or ended; returns how many there are now."""
        with self.lock:
            self.transfers += change
            self.last = time.monotonic()
            return self.transfers

    def service_actions(self) -> None:
        """End when it is time."""
        if not self.transfers and time.monotonic() - self.last > self.idle:
            raise SystemExit

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away asks again, here or elsewhere."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = STALL

    def do_GET(self) -> None:
        """Send the file from the byte on that is asked for."""
        found = [one for path, one in self.server.files.items() if hmac.compare_digest(path, ascii(self.path)[1:-1])]
        try:
            if self.server.count(+1) > MOST_TRANSFERS:
                self.send_error(503)
            elif found:
                self._send(*found[0])
            else:
                self.send_error(404)
        finally:
            self.server.count(-1)

    def _send(self, descriptor: int, checksum: str) -> None:
        size, tag = os.fstat(descriptor).st_size, f'"{checksum}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked and self.headers.get("If-Range") in (None, tag) else 0
        if start >= size and start:
            return self.send_error(416)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.flush()
        with open(descriptor, "rb", closefd=False) as stream:
            self.connection.sendfile(stream, start)
        return None

    def log_message(self, *_arguments: Any) -> None:
        """Write no log: it would hold the secret paths."""


def start(files: dict[str, tuple[str, str]], address: str, port: int, idle: float) -> dict[str, str]:
    """Return the URL of each file, by its name, while a process of its own serves them; files are path and digest."""
    listener = _listen(address, port)
    token = secrets.token_urlsafe(32)
    opened = {f"/{token}/{name}": (os.open(path, os.O_RDONLY), digest) for name, (path, digest) in files.items()}
    child = os.fork()
    if not child:
        _live(listener, opened, idle)
    os.waitpid(child, 0)
    url = f"http://{f'[{address}]' if ':' in address else address}:{listener.getsockname()[1]}/{token}/"
    listener.close()
    for descriptor, _digest in opened.values():
        os.close(descriptor)
    return {name: url + name for name in files}


def _listen(address: str, port: int) -> socket.socket:
    """Return a listening socket at the address, or at all of the host's where that is a name or is translated."""
    with suppress(OSError, ValueError):
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=MOST_TRANSFERS)
    return socket.create_server(("", port), backlog=MOST_TRANSFERS)


def _live(listener: socket.socket, opened: dict[str, tuple[int, str]], idle: float) -> None:
    """Become a process of its own with nothing in its hands but the socket and the files, and serve. Never returns."""
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        kept = {0, 1, 2, listener.fileno(), *(descriptor for descriptor, _digest in opened.values())}
        for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - kept:
            _close(descriptor)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        Server(listener, opened, idle).serve_forever()
    finally:
        os._exit(0)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:  # the one that listed the directory
        return
