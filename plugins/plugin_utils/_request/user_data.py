# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User data that cloud-init would pass over in silence, found before any host is touched. Private to this collection.

A guest need not run cloud-init, so a kind that nobody here knows is let through; what says that it is a cloud-config,
gzip or several parts, and is not, is a problem. No message shows any of it.
"""

from __future__ import annotations

import base64
import binascii
import email
import email.message
import email.mime.multipart
import email.mime.text
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from .problems import Path, Problem, listed

MOST = 65535  # characters in base64, as in Nova
MOST_UNPACKED = 16 * 2**20
GZIP = b"\x1f\x8b"
CLOUD_CONFIG = "#cloud-config"
JINJA = "## template: jinja"
# How a kind begins -> its MIME type, the longest first (cloudinit/handlers/__init__.py).
KINDS = {
    "#cloud-config-archive": "text/cloud-config-archive",
    "#cloud-config-jsonp": "text/cloud-config-jsonp",
    JINJA: "text/jinja2",
    "#cloud-boothook": "text/cloud-boothook",
    CLOUD_CONFIG: "text/cloud-config",
    "#include-once": "text/x-include-once-url",
    "#part-handler": "text/part-handler",
    "#include": "text/x-include-url",
    "#!": "text/x-shellscript",
}
NEARLY = re.compile(r"#+\s*cloud[-_ ]?config\b", re.IGNORECASE)
# A key of a cloud-config -> what it takes the place of, and with which config drives.
OVERRULED = {"write_files": ("files", ("nocloud",)), "password": ("admin_pass", ("nocloud", "openstack"))}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotUsable(Exception):
    """Why cloud-init would not use it, as the end of a sentence that begins with its key."""


def decoded(entry: Mapping[str, Any], key: str) -> bytes | None:
    """Return what the user wrote as text or, with `_base64` behind the key, in base64; None if that is none."""
    if entry.get(key) is not None:
        return entry[key].encode()
    try:
        return base64.b64decode("".join((entry.get(f"{key}_base64") or "").split()), validate=True)
    except binascii.Error:
        return None


def problems(entry: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the user data and the vendor data of an entry."""
    if entry.get("user_data") and entry.get("user_data_base64"):
        yield Problem((*path, "user_data_base64"), "is there beside user_data: write one of them")
        return
    key = "user_data_base64" if entry.get("user_data_base64") else "user_data"
    content = decoded(entry, "user_data")
    if content is None:
        yield Problem((*path, key), "is not base64: make it with `base64 -w0` or the filter b64encode")
        return
    encoded = (len(content) + 2) // 3 * 4
    if encoded > MOST:
        yield Problem(
            (*path, key),
            f"is {len(content):,} bytes, {encoded:,} when base64-encoded: at most {MOST:,} fit "
            f"({MOST // 4 * 3:,} plain), so let it fetch the rest from a URL",
        )
    yield from told(entry, (*path, key), content)
    vendor = entry.get("vendor_data") or ""
    yield from told({}, (*path, "vendor_data"), vendor.encode())


def told(entry: Mapping[str, Any], path: Path, content: bytes) -> Iterator[Problem]:
    """Yield why cloud-init would not use the content, or what of the entry it would not see because of it."""
    try:
        keys = {key for part in parts(content) for key in config_keys(part)}
    except NotUsable as error:
        yield Problem(path, str(error))
        return
    for key, (beside, drives) in OVERRULED.items():
        if key in keys and entry.get(beside) and entry.get("config_drive") in drives:
            says = f"has a '{key}' of its own, so the guest would never see {beside}: write it in one of the two places"
            yield Problem(path, says)


def parts(content: bytes) -> Iterator[str]:
    """Yield the parts that are text; NotUsable for what is broken."""
    if content.startswith(GZIP):
        content = unpacked(content)
    if b"mime-version:" in content[:4096].lower():
        yield from mime_parts(email.message_from_bytes(content))
        return
    text = content.decode(errors="replace")
    if text.lstrip().lower().startswith("content-type:"):
        raise NotUsable("is of several parts without a line 'MIME-Version: 1.0': cloud-init would not see them")
    yield text


def unpacked(content: bytes) -> bytes:
    """Return what is in the gzip file; of one that never ends nothing."""
    stream = zlib.decompressobj(wbits=31)
    try:
        text = stream.decompress(content, MOST_UNPACKED)
    except zlib.error:
        text = b""
    if not stream.eof:
        raise NotUsable(f"begins like gzip and is no whole gzip file of at most {MOST_UNPACKED >> 20} MiB unpacked")
    return text


def mime_parts(message: email.message.Message) -> Iterator[str]:
    """Yield the parts of the message; those in it that say they are a cloud-config need not begin like one."""
    if message.defects or (message.get_content_maintype() == "multipart" and not message.is_multipart()):
        raise NotUsable("is no whole MIME message: make it with the filter virtfleet.compute.multipart")
    for one in message.walk():
        if one.is_multipart():
            continue
        text = (one.get_payload(decode=True) or b"").decode(errors="replace")
        plain = one.get_content_type() == KINDS[CLOUD_CONFIG] and not text.lstrip().lower().startswith("#")
        yield f"{CLOUD_CONFIG}\n{text}" if plain else text


def config_keys(text: str) -> Iterable[str]:
    """Return the keys of a cloud-config; NotUsable if it is none although it says so."""
    start = text.lstrip().lower()
    first = text.lstrip().split("\n", 1)[0].rstrip()
    if not start.startswith(CLOUD_CONFIG):
        if NEARLY.match(first) and first.startswith("#"):
            raise NotUsable("begins nearly like a cloud-config: its first line must be '#cloud-config', nothing else")
        return ()
    if start.startswith((f"{CLOUD_CONFIG}-archive", f"{CLOUD_CONFIG}-jsonp")):
        return ()
    try:
        config = yaml.load(text, Loader=LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise NotUsable(f"says that it is a #cloud-config and is not YAML{place}")
    if not isinstance(config, (dict, type(None))):
        raise NotUsable("says that it is a #cloud-config and is no mapping: write 'key: value' below the first line")
    return [str(key) for key in config or {}]


def multipart(contents: Iterable[str]) -> str:
    """Return the texts as one MIME message, always the same for the same texts."""
    contents = list(contents)
    boundary = hashlib.sha256("\0".join(contents).encode()).hexdigest()[:32]
    message = email.mime.multipart.MIMEMultipart(boundary=f"virtfleet-{boundary}")
    for number, text in enumerate(contents, start=1):
        subtype = kind(text, number).removeprefix("text/")
        message.attach(email.mime.text.MIMEText(text, subtype, "us-ascii" if text.isascii() else "utf-8"))
    return message.as_string()


def kind(text: str, number: int) -> str:
    """Return the MIME type of a part; NotUsable if it does not say what it is."""
    start = text.lstrip().lower()
    found = next((told for begins, told in KINDS.items() if start.startswith(begins)), None)
    if found is None:
        raise NotUsable(f"part {number} begins like nothing that cloud-init knows: it knows {listed(KINDS)}")
    return found
