# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a guest from its host, without waiting: does SSH answer, does the address. Private to this collection."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import struct
import time
from typing import Any

from .._model.errors import ItemError

SSH_PORT = 22
PATIENCE = 5.0  # seconds before a connection that says nothing is tried anew
ARP = 0x0806
ARP_EVERY = 0.5
BROADCAST = b"\xff" * 6
ARP_HEAD = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)  # Ethernet, IPv4, sizes, request


class Ssh:
    """A TCP connection to the guest's SSH server that is on its way; each look takes it further."""

    def __init__(self, address: str, port: int = SSH_PORT) -> None:
        self.target = (address, port)
        self.connection: socket.socket | None = None
        self.began = 0.0
        self.connected = False

    def _open(self) -> None:
        """Begin to connect."""
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        self.connection = socket.socket(family, socket.SOCK_STREAM)
        self.connection.setblocking(False)
        self.began, self.connected = time.monotonic(), False
        self.connection.connect_ex(self.target)

    def close(self) -> None:
        """Give the connection up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def ready(self) -> bool:
        """Say whether an SSH server has greeted us."""
        if self.connection is None:
            self._open()
        try:
            greeting = self.connection.recv(255)
        except BlockingIOError:
            if time.monotonic() - self.began > PATIENCE:
                self.close()
            return False
        except OSError as error:
            if error.errno != errno.ENOTCONN or time.monotonic() - self.began > PATIENCE:
                self.close()
            return False
        self.close()
        return greeting.startswith(b"SSH-")


class Arp:
    """Questions "who has this address" from a bridge of the host, which needs no address there itself (RFC 5227)."""

    def __init__(self, bridge: str, address: str, mac: str) -> None:
        self.address = ipaddress.IPv4Address(address).packed
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.asked = 0.0
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP))
            self.socket.bind((bridge, ARP))
        except OSError as error:
            raise ItemError(f"cannot ask for {address} on bridge {bridge}: {error.strerror}")
        self.socket.setblocking(False)
        self.own = self.socket.getsockname()[4]

    def close(self) -> None:
        """Stop listening."""
        self.socket.close()

    def _ask(self) -> None:
        """Send the question, not more often than needed."""
        if time.monotonic() - self.asked < ARP_EVERY:
            return
        self.asked = time.monotonic()
        frame = BROADCAST + self.own + struct.pack(">H", ARP)
        with contextlib.suppress(OSError):  # a bridge without carrier; the next look tries again
            self.socket.send(frame + ARP_HEAD + self.own + bytes(4) + bytes(6) + self.address)

    def ready(self) -> bool:
        """Say whether the guest, by its MAC, has used the address."""
        while True:
            try:
                frame = self.socket.recv(128)
            except OSError:
                self._ask()
                return False
            if frame[22:28] == self.mac and frame[28:32] == self.address:
                return True


def first_address(ports: tuple[Any, ...], version: int = 0) -> tuple[Any, str]:
    """Return the first port with an address (of an IP version, if one is named) and the address, or (None, "")."""
    for port in ports:
        for one in port.addresses:
            if version in (0, ipaddress.ip_address(one.address).version):
                return port, one.address
    return None, ""
