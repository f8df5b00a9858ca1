# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packed image becomes a plain one: in a process of its own, under limits, and never larger than it may be.

The tools and not Python's own modules, for the reason that qemu-img is not trusted either: an archive is hostile
until it has passed, and a process can be limited and killed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from typing import BinaryIO

from .._files import spoken
from .._model.errors import ItemError
from .fetch import FULL, no_space
from .inspect import detect

TOOLS = {
    "gzip": ["gzip", "-dc"],
    "xz": ["xz", "-dc"],
    "zstd": ["zstd", "-dcq", "--long=31"],
    "bzip2": ["bzip2", "-dc"],
}
ADDRESS_SPACE = 2**32  # bytes: twice the largest window that these formats know in practice
CPU_SECONDS = 3600
BLOCK = 2**16  # what a pipe holds
LOOK = 2**28  # bytes between two looks at the free space


def packed_as(path: str) -> str:
    """Return the tool's name for an archive, nothing for any other file; who looks like more than that is none."""
    with open(path, "rb") as stream:
        found = detect(stream)
    return found[0] if len(found) == 1 and found[0] in TOOLS else ""


def unpack(name: str, path: str, target: str, limit: int, make_room: Callable[[int], None]) -> str:
    """The target holds what the archive at the path holds, with holes for zeros; returns its "sha256:HEX".

    ItemError when the archive is broken or what comes out of it is more than `limit` bytes.
    """
    kind = packed_as(path)
    command = ["prlimit", f"--as={ADDRESS_SPACE}", f"--cpu={CPU_SECONDS}", *TOOLS[kind]]
    with open(path, "rb") as packed, open(target, "wb") as plain, tempfile.TemporaryFile() as words:
        os.fchmod(plain.fileno(), 0o600)
        # C locale: the words are shown to people who may have another one than the host.
        tool = subprocess.Popen(
            command, stdin=packed, stdout=subprocess.PIPE, stderr=words, env={**os.environ, "LC_ALL": "C"}
        )
        try:
            digest = _receive(name, tool.stdout, plain, limit, make_room)  # type: ignore[arg-type]
            status = tool.wait()
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise no_space(name, os.path.dirname(target), f"unpacking could not go on ({error.strerror})")
        finally:
            tool.kill()  # does nothing to one that has ended
            tool.wait()
            tool.stdout.close()  # type: ignore[union-attr]
        if status:
            raise ItemError(f"image {name}: {kind} cannot unpack it: {_said(words, status)}", fault="request")
    return digest


def _receive(name: str, stream: BinaryIO, plain: BinaryIO, limit: int, make_room: Callable[[int], None]) -> str:
    digest, size, looked = hashlib.sha256(), 0, 0
    while True:
        block = stream.read(BLOCK)
        if not block:
            plain.truncate(size)
            return f"sha256:{digest.hexdigest()}"
        size += len(block)
        if size > limit:
            raise ItemError(
                f"image {name}: it is packed, and unpacked it is more than {spoken(limit)}: raise image_max_gb only if "
                f"you trust it",
                fault="request",
            )
        digest.update(block)
        if block.count(0) == len(block):
            plain.seek(len(block), os.SEEK_CUR)
            continue
        plain.write(block)
        if size - looked >= LOOK:
            looked = size
            make_room(0)


def _said(words: BinaryIO, status: int) -> str:
    """Return the last words of the tool, or what ended it."""
    words.seek(0)
    lines = words.read(4096).decode(errors="replace").strip().splitlines()
    if status == 127 or (lines and "failed to execute" in lines[-1]):
        return "it is not installed on this host: role compute_host installs what is needed"
    return lines[-1] if lines else f"it ended with status {status}, over its limits of CPU or memory"
