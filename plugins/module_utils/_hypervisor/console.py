# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console log of a guest: has it printed its marker, and what were its last words. Private to this collection.

Everything in it is the guest's and cannot be trusted: it is only ever shown cut short and printable.
"""

from __future__ import annotations

import os
import re

from .._model.errors import ItemError

LAST_BYTES = 4096
LAST_LINES = 5
LONGEST_LINE = 160
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b.")


class Console:
    """A console log that is read on from where the last look ended; it may be rotated or begin anew in between."""

    def __init__(self, path: str, marker: str) -> None:
        self.path = path
        try:
            self.marker = re.compile(marker.encode())
        except re.error as error:
            raise ItemError(f"the console marker '{marker}' is not a regular expression: {error}", fault="request")
        self.offset = 0
        self.tail = b""
        self.inode = 0

    def ready(self) -> bool:
        """Say whether the marker has been printed."""
        try:
            with open(self.path, "rb") as file:
                told = os.fstat(file.fileno())
                if told.st_ino != self.inode or told.st_size < self.offset:
                    self.inode, self.offset, self.tail = told.st_ino, 0, b""
                file.seek(self.offset)
                fresh = file.read()
        except FileNotFoundError:
            return False
        self.offset += len(fresh)
        text = self.tail + fresh
        self.tail = text[-LAST_BYTES:]
        return self.marker.search(text) is not None


def last_words(path: str) -> str:
    """Return the last lines of a console log, printable and cut short, or what kept us from reading it."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LAST_BYTES))
            text = ESCAPES.sub(b"", file.read()).decode("utf-8", "replace")
    except OSError as error:
        return f"(no console log: {error.strerror})"
    lines = ["".join(one for one in line if one.isprintable()).strip()[:LONGEST_LINE] for line in text.splitlines()]
    lines = [line for line in lines if line][-LAST_LINES:]
    return " | ".join(lines) if lines else "(its console log is empty)"
