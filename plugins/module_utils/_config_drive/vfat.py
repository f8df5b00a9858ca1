# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A FAT file system with long names, for guests whose kernel reads no ISO 9660. No content is an argument or a file."""

from __future__ import annotations

import os
import posixpath
import subprocess
import tempfile

from .._model.errors import ItemError

MIB = 2**20
SECTOR = 512
CLUSTER = 4096  # at most so much is lost behind each file


def build(label: str, files: dict[str, bytes]) -> bytes:
    """Return the bytes of a FAT file system with the label and the files (path without leading slash -> content)."""
    needed = sum(len(content) + CLUSTER for content in files.values()) + MIB // 2
    sectors = -(-needed // MIB) * MIB // SECTOR
    with tempfile.TemporaryFile() as image:
        image.truncate(sectors * SECTOR)
        # mtools opens it by this name; nobody else can.
        where = f"/proc/self/fd/{image.fileno()}"
        _run(["mformat", "-i", where, "-T", str(sectors), "-h", "64", "-s", "32", "-v", label, "::"], image)
        directories = sorted({parent for path in files for parent in _parents(path)})
        if directories:
            _run(["mmd", "-i", where, *(f"::/{one}" for one in directories)], image)
        for path in sorted(files):
            _run(["mcopy", "-i", where, "-", f"::/{path}"], image, files[path])
        image.seek(0)
        return image.read()


def _run(command: list[str], image: tempfile._TemporaryFileWrapper, content: bytes = b"") -> None:
    """Run a tool of mtools on the open image; its words are the error."""
    # mtools would look at settings of whoever runs this, and ask on the terminal.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "MTOOLSRC": os.devnull,
        "MTOOLS_SKIP_CHECK": "1",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = subprocess.run(
            command, input=content, check=False, capture_output=True, env=environment, pass_fds=(image.fileno(),)
        )
    except FileNotFoundError:
        raise ItemError("mtools is not installed on this host: role compute_host installs what is needed")
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ItemError(f"the config drive could not be made: {command[0]}: {words[-1]}")


def _parents(path: str) -> list[str]:
    """Return the directories above the path."""
    above = posixpath.dirname(path)
    return [*_parents(above), above] if above else []
