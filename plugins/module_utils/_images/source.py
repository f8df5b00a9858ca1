# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an image comes from: one function opens any URL at an offset. The host does the fetching."""

from __future__ import annotations

import http.client
import os
import random
import re
import stat
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from .._model.errors import ItemError

PATIENCE = 30  # seconds without a byte
PEER_PATIENCE = 5
SUMS_LIMIT = 2**20
REQUEST_FAULTS = (400, 401, 403, 404, 405, 410, 414, 451)  # no other host will be answered differently


@dataclass(frozen=True)
class Origin:
    """A place that has an image.

    `label` is what messages call it. `digest` is what the file must have, empty when nobody said; `patience` is
    seconds without a byte. A `ready` one is a cached image as another host has it: unpacked already.
    """

    url: str
    label: str
    digest: str = ""
    patience: int = PATIENCE
    ready: bool = False


def peers_of(told: Iterable[dict[str, str]]) -> dict[str, list[Origin]]:
    """Return the hosts that hand an image over, by the image's id. An unreachable one must not hold the image up."""
    found: dict[str, list[Origin]] = {}
    for one in told:
        origin = Origin(one["url"], f"host {one['host']}", one["checksum"], PEER_PATIENCE, ready=True)
        found.setdefault(one["id"], []).append(origin)
    for origins in found.values():
        random.shuffle(origins)  # so that not all ask the same
    return found


@dataclass(frozen=True)
class Source:
    """An open image.

    `offset` is where the stream begins: what was asked for, or 0 where the server cannot resume or the image has
    changed. `total` is the whole length in bytes, -1 when unknown. `validator` names this version of the image.
    """

    stream: BinaryIO
    offset: int
    total: int
    resumable: bool
    validator: str


def open_at(url: str, offset: int = 0, validator: str = "", patience: int = PATIENCE) -> Source:
    """Open the URL at the offset if it is still the version that the validator names, else at its beginning."""
    if urlsplit(url).scheme == "file":
        return _open_file(url, offset, validator)
    return _open_http(url, offset if validator else 0, validator, patience)


def read_text(url: str) -> str:
    """Return the text of a small file, such as SHA256SUMS."""
    source = open_at(url)
    with source.stream:
        try:
            content = source.stream.read(SUMS_LIMIT + 1)
        except (OSError, http.client.HTTPException) as error:
            raise ItemError(f"reading {url} failed: {reason(error)}")
    if len(content) > SUMS_LIMIT:
        raise ItemError(f"{url} is larger than 1 MiB: a sums file was expected there", fault="request")
    return content.decode(errors="replace")


def reason(error: Exception) -> str:
    """Return the words of a network error without Python's wrapping."""
    inner = getattr(error, "reason", error)
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


def _open_file(url: str, offset: int, validator: str) -> Source:
    path = unquote(urlsplit(url).path)
    try:
        # A pipe would block the open, and a device has no end.
        stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        state = os.fstat(stream.fileno())
    except OSError as error:
        raise ItemError(f"{path} cannot be read on this host: {error.strerror}")
    if not stat.S_ISREG(state.st_mode):
        stream.close()
        raise ItemError(f"{path} is not a file on this host", fault="request")
    version = f"{state.st_size} {state.st_mtime_ns}"
    start = offset if validator == version and offset <= state.st_size else 0
    stream.seek(start)
    return Source(stream, start, state.st_size, resumable=True, validator=version)


def _open_http(url: str, offset: int, validator: str, patience: int) -> Source:
    """Every request asks for a range, so that the answer shows whether the server can resume."""
    headers = {"Range": f"bytes={offset}-", "User-Agent": "virtfleet.compute"}
    if offset:
        headers["If-Range"] = validator
    try:
        answer = _opener().open(urllib.request.Request(url, headers=headers), timeout=patience)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            return _open_http(url, 0, "", patience)
        fault = "request" if error.code in REQUEST_FAULTS else "host"
        raise ItemError(f"the server answers {error.code} {error.reason} for {url}", fault)
    except (OSError, http.client.HTTPException) as error:
        raise ItemError(f"cannot fetch {url} from this host: {reason(error)}")
    start, total = _extent(answer)
    if start not in (0, offset):
        answer.close()
        raise ItemError(f"the server sends {url} from byte {start} on, but {offset} was asked for")
    resumable = answer.status == 206 or answer.headers.get("Accept-Ranges") == "bytes"
    version = _validator(answer.headers)
    return Source(answer, start, total, resumable=resumable and bool(version), validator=version)


def _opener() -> urllib.request.OpenerDirector:
    """Only HTTP: a server must not be able to redirect to a file of this host, or to FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _extent(answer: http.client.HTTPResponse) -> tuple[int, int]:
    """Return (first byte, total length or -1) of the answer."""
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and told:
        return int(told[1]), -1 if told[2] == "*" else int(told[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else -1


def _validator(headers: http.client.HTTPMessage) -> str:
    """Return the strong ETag or the date of the last change (RFC 9110, section 13.1.5: a weak ETag does not serve)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")
