# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image comes to the cache's directory whole, resumable and in slices of time, or one sentence says why not."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .._files import free_bytes, read_json, spoken, write_whole
from .._model.errors import ItemError
from .image import Image
from .source import Source, open_at, reason

BLOCK = 2**20
HTML = (b"<!doctype html", b"<html")


@dataclass(frozen=True)
class Fetched:
    """How far a download came, in bytes; a total of -1 is unknown. `digest` is "sha256:HEX" once it is whole."""

    whole: bool
    size: int
    total: int
    digest: str = ""

    @property
    def progress(self) -> str:
        """Say how far it is: "120 MiB of 300 MiB"."""
        return spoken(self.size) + (f" of {spoken(self.total)}" if self.total >= 0 else "")


def fetch(image: Image, part: str, algorithm: str, deadline: float | None) -> Fetched:
    """The part file holds the whole image, or more of it than before when the deadline (of time.monotonic) came.

    What an earlier call left there is continued where the server can. The digest is computed while streaming; only
    a continued file is read once more. ItemError when the download broke; the next call goes on.
    """
    known = read_json(part + ".json")
    size = os.path.getsize(part) if os.path.exists(part) and known.get("url") == image.url else 0
    if size and size == known.get("total"):
        return Fetched(True, size, size, digest_of(part, algorithm))
    source = _open(image, size, known.get("validator", ""))
    with source.stream:
        _check_space(image, part, source)
        note = {"url": image.url, "validator": source.validator if source.resumable else "", "total": source.total}
        write_whole(part + ".json", json.dumps(note).encode())
        return _receive(image, part, source, algorithm, deadline if source.resumable else None)


def forget(part: str) -> None:
    """Nothing is left of an unfinished download."""
    for path in (part, part + ".json"):
        with suppress(FileNotFoundError):
            os.unlink(path)


def digest_of(path: str, algorithm: str) -> str:
    """Return "sha256:HEX" of the file."""
    running = hashlib.new(algorithm)
    with open(path, "rb") as stream:
        while True:
            block = stream.read(BLOCK)
            if not block:
                return f"{algorithm}:{running.hexdigest()}"
            running.update(block)


def _open(image: Image, size: int, validator: str) -> Source:
    try:
        return open_at(image.url, size, validator)
    except ItemError as error:
        raise ItemError(f"image {image.name}: {error}", error.fault)


def _check_space(image: Image, part: str, source: Source) -> None:
    missing, free = source.total - source.offset, free_bytes(os.path.dirname(part))
    if missing > free:
        raise _no_space(image, part, f"{spoken(missing)} more are needed, {spoken(free)} are free")


def _no_space(image: Image, part: str, numbers: str) -> ItemError:
    where = os.path.dirname(part)
    return ItemError(f"image {image.name}: no space left in {where}: {numbers}; free some or choose another state_dir")


def _receive(image: Image, part: str, source: Source, algorithm: str, deadline: float | None) -> Fetched:
    """Write the stream to the part file from the source's offset on."""
    digest: Any = None if source.offset else hashlib.new(algorithm)
    size = source.offset
    with open(part, "r+b" if source.offset else "wb") as target:
        target.seek(size)
        target.truncate()
        while size != source.total:
            block = _block(image, source, size)
            if not block:
                break
            _write(image, part, target, block)
            size += len(block)
            if digest:
                digest.update(block)
            if deadline is not None and time.monotonic() >= deadline and size != source.total:
                return Fetched(False, size, source.total)
    _check_length(image, source, size)
    return Fetched(True, size, size, f"{algorithm}:{digest.hexdigest()}" if digest else digest_of(part, algorithm))


def _block(image: Image, source: Source, size: int) -> bytes:
    """Return the next bytes, or none at the end; a page for people instead of an image is refused."""
    try:
        # read1 returns what is there: a slow server must not hold a slice of time open for a whole block.
        block = source.stream.read1(BLOCK)  # type: ignore[attr-defined]
    except (OSError, http.client.HTTPException) as error:
        raise ItemError(f"image {image.name}: the download broke after {spoken(size)}: {reason(error)}")
    if not size and block.lstrip()[:20].lower().startswith(HTML):
        raise ItemError(f"image {image.name}: {image.url} is an HTML page, not an image: correct the url", "request")
    return block


def _write(image: Image, part: str, target: Any, block: bytes) -> None:
    """Write the block; on a full disk nothing stays that would keep it full."""
    try:
        target.write(block)
        target.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        with suppress(OSError):
            target.close()
        forget(part)
        raise _no_space(image, part, f"the download could not go on ({error.strerror})")


def _check_length(image: Image, source: Source, size: int) -> None:
    """A stream that ended is whole only if it is as long as the server said."""
    if not source.total:
        raise ItemError(f"image {image.name}: {image.url} is empty: correct the url", fault="request")
    if source.total < 0:
        if image.checksum:
            return
        raise ItemError(
            f"image {image.name}: the server tells no length, so nobody knows whether the download is whole: "
            f"give the image a checksum",
            fault="request",
        )
    if size != source.total:
        raise ItemError(
            f"image {image.name}: the download ended after {size} of {source.total} bytes; run again to go on"
        )
