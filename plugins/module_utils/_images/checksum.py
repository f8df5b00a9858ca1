# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests as users and distributions write them."""

from __future__ import annotations

import re

from .._model.errors import ItemError

ALGORITHMS = {"sha256": 64, "sha512": 128}  # name -> hex digits
HEX = r"[0-9a-fA-F]"
GNU_LINE = re.compile(rf"({HEX}+) [ *](.+)")  # sha256sum: "<hex>  name", binary mode "<hex> *name"
BSD_LINE = re.compile(rf"(?:[A-Z0-9-]+) \((.+)\) = ({HEX}+)")  # sha256sum --tag, Fedora: "SHA256 (name) = <hex>"


def is_digest(text: str) -> bool:
    """Return whether the text is sha256: or sha512: and as many hex digits as that has."""
    algorithm, _colon, digits = text.partition(":")
    return len(digits) == ALGORITHMS.get(algorithm) and re.fullmatch(HEX + "+", digits) is not None


def find(sums: str, file_name: str, where: str) -> str:
    """Return the digest of the file out of a sums file, as "sha256:HEX"; ItemError when it names none that serves."""
    short = 0
    for digits, name in _lines(sums):
        if name.rpartition("/")[2] != file_name:
            continue
        for algorithm, length in ALGORITHMS.items():
            if len(digits) == length:
                return f"{algorithm}:{digits.lower()}"
        short = len(digits)
    if short:
        raise ItemError(
            f"{where} has a digest of {short} hex digits for {file_name}: only sha256 (64) and sha512 (128) are taken",
            fault="request",
        )
    raise ItemError(
        f"{where} has no line for {file_name}: check the url and the checksum of the image", fault="request"
    )


def _lines(sums: str) -> list[tuple[str, str]]:
    """Return (hex digits, file name) of each line that is a sum; signatures and comments are passed over."""
    found = []
    for line in sums.splitlines():
        gnu, bsd = GNU_LINE.fullmatch(line.strip()), BSD_LINE.fullmatch(line.strip())
        if gnu:
            found.append((gnu[1], gnu[2]))
        elif bsd:
            found.append((bsd[2], bsd[1]))
    return found
