# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image is wanted to be, and what a cached one is."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from .._files import spoken
from .._model.errors import ItemError
from .checksum import is_digest

FORMATS = ("qcow2", "raw")
SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class Image:
    """An image of the catalogue.

    `urls` are where the same file is to be had, in the order in which they are tried; `checksum` is "sha256:HEX",
    "sha512:HEX", the URL of a file with such sums, or empty; `format` is qcow2 or raw.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str
    format: str

    @property
    def file_names(self) -> set[str]:
        """The names under which a sums file may list the image."""
        return {posixpath.basename(unquote(urlsplit(url).path)) for url in self.urls}

    @property
    def id(self) -> str:
        """The name of its record: one for all addresses of one content, where a digest says that it is the same."""
        content = self.checksum if is_digest(self.checksum) else f"{self.checksum} {self.urls[0]}"
        return name_of(content, self.format)


@dataclass(frozen=True)
class Base:
    """A cached image: whole, verified, inspected and read-only. Sizes are bytes.

    `checksum` is the digest of the cached file, `packed` that of the archive it came out of, if it came out of one.
    The times are in UTC.
    """

    name: str
    url: str
    checksum: str
    format: str
    virtual_size: int
    size: int
    mtime_ns: int
    fetched_at: str
    verified_at: str
    packed: str = ""

    @property
    def file(self) -> str:
        """The name of the file, made from its content: a new release of an image never takes the place of an old one.

        Guests read what they have not changed from the file; another content under its name would destroy them.
        """
        return f"{name_of(self.checksum, self.format)}.{self.format}"


def name_of(content: str, disk_format: str) -> str:
    """Return the name for a content, given as digest or address, in a format: 32 hexadecimal digits."""
    return hashlib.sha256(f"{content} {disk_format}".encode()).hexdigest()[:32]


def from_record(record: dict[str, Any]) -> Image:
    """Return the image of the record; ItemError names the field that is wrong."""
    checksum = (record.get("checksum") or "").strip()
    urls = record.get("url") or ""
    image = Image(
        name=record.get("name") or "without a name",
        urls=(urls,) if isinstance(urls, str) else tuple(dict.fromkeys(map(str, urls))),
        checksum=checksum.lower() if is_digest(checksum) else checksum,
        format=record.get("disk_format") or "",
    )
    if image.format not in FORMATS:
        raise _refusal(image, f"disk_format is {image.format!r}, but must be one of {', '.join(FORMATS)}")
    for url in image.urls:
        check_url(image, url, "url")
    if not is_digest(image.checksum) and image.checksum:
        check_url(image, image.checksum, "checksum")
    return image


def shared_id(record: dict[str, Any]) -> str:
    """Return the id of a record's image; empty for one that is wrong or a file, of which each host has its own.

    A file that one host has, which the record names, goes from there to the others.
    """
    try:
        image = from_record(record)
    except ItemError:
        return ""  # who fetches it says what is wrong
    return "" if any(url.startswith("file:") for url in image.urls) and not record.get("host") else image.id


def check_url(image: Image, url: str, field: str) -> None:
    """The URL is one that a host can fetch, and holds no password that a message or record would show."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not posixpath.basename(parts.path):
        accepted = "an http, https or file URL of a file"
        if field == "checksum":
            accepted = "sha256:<64 hex digits>, sha512:<128 hex digits> or " + accepted
        raise _refusal(image, f"{field} is {url!r}, but must be {accepted}")
    if "@" in parts.netloc:
        raise _refusal(image, f"{field} holds a user name or password, which logs would show: use a server without")
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise _refusal(image, f"{field} is {url!r}, but a file URL has three slashes: file:///directory/file")


def check_fit(image: Image, base: Base, flavor: dict[str, Any]) -> None:
    """The disk of the flavor is as large as the image wants to be (CVE-2013-2096); 0 GiB takes the image's size."""
    disk_gb = flavor.get("disk_gb") or 0
    if disk_gb and base.virtual_size > disk_gb * 2**30:
        raise _refusal(
            image,
            f"it needs a disk of {spoken(base.virtual_size)}, but flavor {flavor.get('name')} has disk_gb {disk_gb}: "
            f"take a flavor with at least {-(-base.virtual_size // 2**30)}",
        )


def _refusal(image: Image, reason: str) -> ItemError:
    return ItemError(f"image {image.name}: {reason}", fault="request")
