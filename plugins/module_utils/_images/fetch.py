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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .._files import read_json, spoken, write_whole
from .._model.errors import ItemError
from .source import Origin, Source, open_at, reason

BLOCK = 2**20
HTML = (b"<!doctype html", b"<html")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
Room = Callable[[int], None]


class SourceFault(ItemError):
    """The image cannot be had from here; another mirror may have it."""


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


def fetch(name: str, origin: Origin, part: str, algorithm: str, deadline: float | None, make_room: Room) -> Fetched:
    """The part file holds the whole image, or more of it than before when the deadline (of time.monotonic) came.

    What an earlier call left there is continued where the server can. The digest is computed while streaming; only
    a continued file is read once more. `make_room` is called with the bytes that are still to come. SourceFault when
    another origin may do better; the next call goes on.
    """
    known = read_json(part + ".json")
    ours = known.get("url") == origin.url and (bool(origin.digest) or known.get("boot") == _boot())
    size = os.path.getsize(part) if ours and os.path.exists(part) else 0
    if size and size == known.get("total"):
        return Fetched(True, size, size, digest_of(part, algorithm))
    source = _open(name, origin, size, known.get("validator", ""))
    with source.stream:
        make_room(source.total - source.offset)
        validator = source.validator if source.resumable else ""
        note = {"url": origin.url, "validator": validator, "total": source.total, "boot": _boot()}
        write_whole(part + ".json", json.dumps(note).encode(), 0o600)
        return _receive(name, origin, part, source, algorithm, deadline if source.resumable else None)


def started(part: str) -> str:
    """Return the URL from which the part file comes, if there is one."""
    return read_json(part + ".json").get("url", "") if os.path.exists(part) else ""


def _boot() -> str:
    """Return what the kernel calls this boot: what a file held before a power loss is only known by its digest."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id") as stream:
        return stream.read().strip()
    return ""


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


def _open(name: str, origin: Origin, size: int, validator: str) -> Source:
    try:
        return open_at(origin.url, size, validator, origin.patience)
    except ItemError as error:
        raise SourceFault(f"image {name}: {str(error).replace(origin.url, origin.label)}", error.fault)


def _receive(name: str, origin: Origin, part: str, source: Source, algorithm: str, deadline: float | None) -> Fetched:
    """Write the stream to the part file from the source's offset on."""
    digest: Any = None if source.offset else hashlib.new(algorithm)
    size = source.offset
    with open(part, "r+b" if source.offset else "wb") as target:
        os.fchmod(target.fileno(), 0o600)
        target.seek(size)
        target.truncate()
        while size != source.total:
            block = _block(name, origin, source, size)
            if not block:
                break
            _write(name, part, target, block)
            size += len(block)
            if digest:
                digest.update(block)
            if deadline is not None and time.monotonic() >= deadline and size != source.total:
                return Fetched(False, size, source.total)
    _check_length(name, origin, source, size)
    return Fetched(True, size, size, f"{algorithm}:{digest.hexdigest()}" if digest else digest_of(part, algorithm))


def _block(name: str, origin: Origin, source: Source, size: int) -> bytes:
    """Return the next bytes, or none at the end; a page for people instead of an image is refused."""
    try:
        # read1 returns what is there: a slow server must not hold a slice of time open for a whole block.
        block = source.stream.read1(BLOCK)  # type: ignore[attr-defined]
    except (OSError, http.client.HTTPException) as error:
        raise SourceFault(f"image {name}: the download broke after {spoken(size)}: {reason(error)}")
    if not size and block.lstrip()[:20].lower().startswith(HTML):
        raise SourceFault(f"image {name}: {origin.label} is an HTML page, not an image: correct the url", "request")
    return block


def _write(name: str, part: str, target: Any, block: bytes) -> None:
    """Write the block; on a full disk nothing stays that would keep it full."""
    try:
        target.write(block)
        target.flush()
    except OSError as error:
        if error.errno not in FULL:
            raise
        with suppress(OSError):
            target.close()
        forget(part)
        raise no_space(name, os.path.dirname(part), f"the download could not go on ({error.strerror})")


def no_space(name: str, directory: str, numbers: str) -> ItemError:
    """Return the error of an image that does not fit."""
    return ItemError(f"image {name}: no space left in {directory}: {numbers}; free some or choose another state_dir")


def _check_length(name: str, origin: Origin, source: Source, size: int) -> None:
    """A stream that ended is whole only if it is as long as the server said."""
    if not source.total:
        raise SourceFault(f"image {name}: {origin.label} is empty: correct the url", fault="request")
    if source.total < 0:
        if origin.digest:
            return
        raise SourceFault(
            f"image {name}: the server tells no length, so nobody knows whether the download is whole: "
            f"give the image a checksum",
            fault="request",
        )
    if size != source.total:
        raise SourceFault(f"image {name}: the download ended after {size} of {source.total} bytes; run again to go on")
