# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPv4 addresses of the host's links, asked of the kernel (rtnetlink). Private.

`ip` looks at every link to tell the few that have an address, and a host has a link for each port. The numbers are
those of linux/rtnetlink.h and linux/if_addr.h.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

from .._model.errors import ItemError

NEW_ADDRESS, GET_ADDRESS = 20, 22
REQUEST_DUMP = 0x301
DONE, ERROR = 3, 2
LABEL = 3
LOCAL = 2  # the attribute; that of the other end of a link is another


def messages() -> Iterator[tuple[int, bytes]]:
    """Yield (kind, content) of what the kernel answers."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(struct.pack("=IHHII", 24, GET_ADDRESS, REQUEST_DUMP, 1, 0) + bytes([socket.AF_INET]) + bytes(7))
        while True:
            answer = kernel.recv(1 << 20)
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind in (DONE, ERROR):
                    return
                yield kind, answer[16:length]
                answer = answer[(length + 3) & ~3 :]


def address(content: bytes) -> tuple[int, str]:
    """Return the index of the link and the address with prefix that a message is about, empty if it has none."""
    prefix, index, at = content[1], struct.unpack_from("=I", content, 4)[0], 8
    while at < len(content):
        length, kind = struct.unpack_from("=HH", content, at)
        if kind == LOCAL:
            return index, f"{socket.inet_ntoa(content[at + 4 : at + 8])}/{prefix}"
        at += (length + 3) & ~3
    return index, ""


def labelled(ending: str) -> list[tuple[str, str]]:
    """Return (link, address) of the addresses whose label ends so."""
    found = []
    for kind, content in messages():
        label = text_of(content, LABEL)
        if kind == NEW_ADDRESS and label.endswith(ending):
            found.append((label[: -len(ending)], address(content)[1].partition("/")[0]))
    return found


def text_of(content: bytes, wanted: int) -> str:
    """Return the text of an attribute of a message, empty if it has none."""
    at = 8
    while at < len(content):
        length, kind = struct.unpack_from("=HH", content, at)
        if kind == wanted:
            return content[at + 4 : at + length].rstrip(b"\0").decode(errors="replace")
        at += (length + 3) & ~3
    return ""


def read() -> dict[str, set[str]]:
    """Return the IPv4 addresses with prefix of every link that has one."""
    found: dict[str, set[str]] = {}
    try:
        told = [address(content) for kind, content in messages() if kind == NEW_ADDRESS]
    except (OSError, struct.error) as error:
        raise ItemError(f"cannot read the addresses of this host: {error}")
    for index, text in told:
        with contextlib.suppress(OSError):  # the link went meanwhile
            found.setdefault(socket.if_indextoname(index), set()).update([text] if text else [])
    return found
