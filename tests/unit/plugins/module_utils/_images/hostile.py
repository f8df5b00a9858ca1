# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of hostile images, made by the real qemu-img where it makes such things and by hand where it does not."""

from __future__ import annotations

import pathlib
import struct
import subprocess
from dataclasses import dataclass

SECRET = "/etc/passwd"
FLAT = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="{}"\nRW 8 FLAT "{}" 0\n'


@dataclass(frozen=True)
class Hostile:
    """An image that must never reach a guest: its class, what its owner says it is, and why it is refused."""

    name: str
    cve: str
    declared: str
    reason: str
    known_to_oslo: bool = True


IMAGES = (
    Hostile("backing", "CVE-2015-1850, 2015-1851, 2013-6437", "qcow2", "has a backing file"),
    Hostile("backing-json", "CVE-2015-1851", "qcow2", "has a backing file"),
    Hostile("backing-old", "CVE-2015-1850", "qcow2", "has a backing file"),
    Hostile("qcow-version-1", "CVE-2015-1850", "qcow2", "the image is qcow"),
    Hostile("backing", "CVE-2024-40767, 2014-0134, 2015-7548, 2016-2140, 2026-24708", "raw", "the image is qcow2"),
    Hostile("data-file", "CVE-2024-32498", "qcow2", "keeps its data in another file"),
    Hostile("data-file", "CVE-2024-40767", "raw", "the image is qcow2"),
    Hostile("data-file-extension", "CVE-2024-32498", "qcow2", "names an external data file", known_to_oslo=False),
    Hostile("unknown-bit", "CVE-2024-32498", "qcow2", "unknown incompatible features"),
    Hostile("vmdk-flat", "CVE-2022-47951", "qcow2", "the image is vmdk"),
    Hostile("vmdk-flat", "CVE-2024-40767", "raw", "the image is vmdk"),
    Hostile("vmdk-device", "CVE-2022-47951", "raw", "the image is vmdk"),
    Hostile("vmdk-sparse", "CVE-2022-47951", "raw", "the image is vmdk"),
    Hostile("qed-backing", "QED", "qcow2", "the image is qed"),
    Hostile("qed-backing", "QED", "raw", "the image is qed"),
    Hostile("vhd-differencing", "VHD", "raw", "the image is vhd"),
    Hostile("qcow2-and-iso", "polyglot", "qcow2", "looks like qcow2 and iso at once"),
    Hostile("qcow2-and-vhd", "polyglot", "qcow2", "looks like qcow2 and vhd at once", known_to_oslo=False),
    Hostile("raw-and-iso", "polyglot", "raw", "the image is iso"),
    Hostile("refcounts", "CVE-2015-5162", "qcow2", "inspect image evil", known_to_oslo=False),
    Hostile("table", "CVE-2015-5162", "qcow2", "inspect image evil", known_to_oslo=False),
)


def make(directory: pathlib.Path) -> None:
    """Every image of IMAGES is in the directory."""

    def create(name, *options, size="8M"):
        subprocess.run(
            ["qemu-img", "create", "-q", *options, name, *([size] if size else [])], cwd=directory, check=True
        )

    def patch(name, *changes):
        with open(directory / name, "r+b") as stream:
            for offset, content in changes:
                stream.seek(offset)
                stream.write(content)

    create("backing", "-f", "qcow2", "-b", SECRET, "-F", "raw")
    create("backing-old", "-f", "qcow2", "-o", "compat=0.10", "-b", SECRET, "-F", "raw")
    create("backing-json", "-f", "qcow2", "-u", "-b", '{"driver": "nbd", "host": "127.0.0.1"}', "-F", "raw")
    create("qcow-version-1", "-f", "qcow", "-b", SECRET, "-F", "raw")
    create("data-file", "-f", "qcow2", "-o", "data_file=outside,data_file_raw=on")
    create("data-file-extension", "-f", "qcow2", "-o", "data_file=outside")
    patch("data-file-extension", (72, bytes(8)))
    for name, offset, content in (
        ("unknown-bit", 72, struct.pack(">Q", 1 << 40)),
        ("qcow2-and-iso", 0x8001, b"CD001"),
        ("refcounts", 48, struct.pack(">QI", 65536, 0xFFFFFFFF)),
        ("table", 36, struct.pack(">IQ", 0x7FFFFFFF, 2**62)),
    ):
        create(name, "-f", "qcow2")
        patch(name, (offset, content))
    create("qcow2-and-vhd", "-f", "qcow2")
    with open(directory / "qcow2-and-vhd", "ab") as stream:
        stream.write(b"conectix".ljust(512, b"\0"))
    (directory / "vmdk-flat").write_text(FLAT.format("monolithicFlat", SECRET))
    (directory / "vmdk-device").write_text(FLAT.format("fullDevice", "/dev/vda"))
    create("vmdk-sparse", "-f", "vmdk", "-o", "subformat=monolithicSparse")
    create("qed-backing", "-f", "qed", "-b", SECRET, "-F", "raw")
    create("vhd-differencing", "-f", "vpc")
    (directory / "raw-and-iso").write_bytes((bytes(510) + b"\x55\xaa").ljust(0x8001, b"\0") + b"CD001" + bytes(4096))
