# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image really is, and whether it reaches outside itself.

Every image is hostile until it has passed: a qcow2 header can name any file of the host as its backing or data file
(CVE-2013-2096, 2015-1850, 2024-32498), and a "raw" image with such a header is one once somebody probes it
(CVE-2024-40767). The rules are Nova's. Nothing here lets qemu guess a format.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from .._model.errors import ItemError
from .._qemu_img import run
from .second import objection

HEAD = 68 * 1024  # bytes: up to and with the volume descriptor of an ISO
TAIL = 512
# What qemu takes for a VMDK although it is text: comments and blank lines, then a version.
VMDK_TEXT = re.compile(rb"#[^\n]*\n(?:#[^\n]*\n| *\r?\n)*version=[123]\r?\n")

DATA_FILE_BIT = 1 << 2
# bit -> why an image with it is refused; bits that are not here and not harmless are unknown, and refused too
REFUSED_BITS = {
    1 << 0: "was not closed cleanly (dirty bit)",
    1 << 1: "is marked corrupt",
    DATA_FILE_BIT: "keeps its data in another file",
    1 << 4: "has extended L2 entries, which the inspector of Nova and Glance does not know",
}
HARMLESS_BITS = 1 << 3  # compression type
REFUSED_EXTENSIONS = {0x44415441: "names an external data file", 0x0537BE77: "is encrypted"}

# format -> does a file with this beginning and end look like it? All that qemu can probe, and what downloads often are.
SIGNS: dict[str, Callable[[bytes, bytes], bool]] = {
    "qcow2": lambda head, tail: head[:4] == b"QFI\xfb" and head[4:8] != b"\0\0\0\1",
    "qcow": lambda head, tail: head[:8] == b"QFI\xfb\0\0\0\1",
    "qed": lambda head, tail: head[:4] == b"QED\0",
    "vmdk": lambda head, tail: head[:4] in (b"KDMV", b"COWD") or VMDK_TEXT.match(head) is not None,
    "vdi": lambda head, tail: head[0x40:0x44] == b"\x7f\x10\xda\xbe",
    "vhd": lambda head, tail: b"conectix" in (head[:8], tail[:8], tail[1:9]),
    "vhdx": lambda head, tail: head[:8] == b"vhdxfile",
    "parallels": lambda head, tail: head[:16] in (b"WithoutFreeSpace", b"WithouFreSpacExt"),
    "bochs": lambda head, tail: head[:22] == b"Bochs Virtual HD Image",
    "cloop": lambda head, tail: head[:15] == b"#!/bin/sh\n#V2.0",
    "dmg": lambda head, tail: tail[:4] == b"koly",
    "luks": lambda head, tail: head[:6] == b"LUKS\xba\xbe",
    "iso": lambda head, tail: head[0x8001:0x8006] == b"CD001",
    "gzip": lambda head, tail: head[:3] == b"\x1f\x8b\x08",
    "xz": lambda head, tail: head[:6] == b"\xfd7zXZ\0",
    "zstd": lambda head, tail: head[:4] == b"\x28\xb5\x2f\xfd",
    "bzip2": lambda head, tail: head[:3] == b"BZh" and head[4:10] == b"1AY&SY",
}


def inspect(path: str, name: str, declared: str) -> int:
    """Return the virtual size in bytes of an image that is safe and what it is declared to be; else ItemError."""
    with open(path, "rb") as stream:
        found = detect(stream)
        wrong = _format_fault(found, declared)
        if not wrong and declared == "qcow2":
            fault = qcow2_fault(stream)
            wrong = fault and f"this qcow2 {fault}: convert it to a standalone image"
    wrong = wrong or objection(path, declared)
    if wrong:
        raise ItemError(f"image {name}: {wrong}", fault="request")
    return _agreed_size(path, name, declared)


def detect(stream: BinaryIO) -> list[str]:
    """Return every format that the file looks like; raw when it looks like none."""
    stream.seek(0)
    head = stream.read(HEAD)
    size = stream.seek(0, 2)
    stream.seek(max(0, size - TAIL))
    tail = stream.read(TAIL)
    return [name for name, looks_like in SIGNS.items() if looks_like(head, tail)] or ["raw"]


def qcow2_fault(stream: BinaryIO) -> str:
    """Return what makes the qcow2 unsafe or unusable, or nothing. Source: docs/interop/qcow2.txt of QEMU."""
    stream.seek(0)
    head = stream.read(HEAD)
    if len(head) < 72:
        return "is cut off within its header"
    version, backing_offset = struct.unpack_from(">IQ", head, 4)
    cluster_bits, _size, crypt_method = struct.unpack_from(">IQI", head, 20)
    if version not in (2, 3):
        return f"has version {version}, but only 2 and 3 are taken"
    if backing_offset:
        return "has a backing file"
    if crypt_method:
        return "is encrypted"
    if not 9 <= cluster_bits <= 21:
        return f"has clusters of 2^{cluster_bits} bytes, but 2^9 to 2^21 are possible"
    return _version_3_fault(head, 1 << cluster_bits) if version == 3 else _extension_fault(head, 72)


def _version_3_fault(head: bytes, cluster_size: int) -> str:
    if len(head) < 104:
        return "is cut off within its header"
    (bits,) = struct.unpack_from(">Q", head, 72)
    (length,) = struct.unpack_from(">I", head, 100)
    for bit, reason in REFUSED_BITS.items():
        if bits & bit:
            return reason
    unknown = bits & ~HARMLESS_BITS
    if unknown:
        return f"uses unknown incompatible features (bits {unknown:#x})"
    if not 104 <= length <= cluster_size or length % 8:
        return f"has a header of {length} bytes, which is impossible"
    return _extension_fault(head, length)


def _extension_fault(head: bytes, offset: int) -> str:
    """Walk the header extensions, each of type, length and content padded to 8 bytes, to the one of type 0."""
    while offset + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, offset)
        if kind == 0:
            return ""
        if kind in REFUSED_EXTENSIONS:
            return REFUSED_EXTENSIONS[kind]
        offset += 8 + (length + 7) // 8 * 8
    return "has header extensions without an end"


def _format_fault(found: list[str], declared: str) -> str:
    if len(found) > 1:
        return f"it looks like {' and '.join(found)} at once, which no honest image does"
    if found[0] in ("gzip", "xz", "zstd", "bzip2"):
        return f"it is a {found[0]} archive, not a disk image: unpack it first"
    if found[0] != declared:
        return f"disk_format is {declared}, but the image is {found[0]}: correct disk_format or the url"
    return ""


def _agreed_size(path: str, name: str, declared: str) -> int:
    """Return the virtual size that qemu-img sees, once it sees nothing else than we did."""
    try:
        told = json.loads(run(["info", "--output=json", "-f", declared, path], f"inspect image {name}"))
    except ItemError as error:
        raise ItemError(str(error), fault="request")
    inner = told.get("format-specific", {}).get("data", {})
    outside = told.get("backing-filename") or told.get("full-backing-filename") or inner.get("data-file")
    if told.get("format") != declared or outside:
        raise ItemError(
            f"image {name}: qemu-img sees {told.get('format')} with {outside or 'no other file'}, "
            f"but a standalone {declared} was declared",
            fault="request",
        )
    return int(told["virtual-size"])
