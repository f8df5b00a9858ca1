# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests as users and distributions write them."""

from __future__ import annotations

import re
from collections.abc import Collection

from .._model.errors import ItemError

ALGORITHMS = {"sha256": 64, "sha512": 128}  # name -> hex digits
HEX = r"[0-9a-fA-F]"
GNU_LINE = re.compile(rf"({HEX}+) [ *](.+)")  # sha256sum: "<hex>  name", binary mode "<hex> *name"
BSD_LINE = re.compile(rf"(?:[A-Z0-9-]+) \((.+)\) = ({HEX}+)")  # sha256sum --tag, Fedora: "SHA256 (name) = <hex>"


def is_digest(text: str) -> bool:
    """Return whether the text is sha256: or sha512: and as many hex digits as that has."""
    algorithm, _colon, digits = text.partition(":")
    return len(digits) == ALGORITHMS.get(algorithm) and re.fullmatch(HEX + "+", digits) is not None


def find(sums: str, file_names: Collection[str], where: str) -> str:
    """Return the digest of the file out of a sums file, as "sha512:HEX" if it has one, else as "sha256:HEX".

    The file is known by one of the names. ItemError when the sums file has no digest that serves, or two that differ.
    """
    found = {digits.lower() for digits, name in _lines(sums) if name.rpartition("/")[2] in file_names}
    alone = sums.split()
    if not found and len(alone) == 1 and re.fullmatch(HEX + "+", alone[0]):
        found = {alone[0].lower()}  # Alpine: a file for each image, with nothing in it but the digits
    wanted = " or ".join(sorted(file_names))
    for algorithm in ("sha512", "sha256"):
        serving = sorted(digits for digits in found if len(digits) == ALGORITHMS[algorithm])
        if len(serving) > 1:
            raise _useless(f"{where} has {len(serving)} different {algorithm} digests for {wanted}: give the right one")
        if serving:
            return f"{algorithm}:{serving[0]}"
    if found:
        short = len(max(found))
        raise _useless(
            f"{where} has a digest of {short} hex digits for {wanted}: only sha256 (64) and sha512 (128) are taken"
        )
    raise _useless(f"{where} has no line for {wanted}: check the url and the checksum of the image")


def _useless(sentence: str) -> ItemError:
    return ItemError(sentence, fault="request")


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
