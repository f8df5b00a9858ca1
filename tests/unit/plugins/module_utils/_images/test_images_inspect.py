# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every class of hostile image that Nova had a CVE for, made here, is refused with its reason."""

from __future__ import annotations

import io
import struct

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import inspect as inspection
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError


def patched(path, offset, content):
    with open(path, "r+b") as stream:
        stream.seek(offset)
        stream.write(content)


@pytest.fixture
def good(tmp_path, disk):
    path = tmp_path / "good.qcow2"
    path.write_bytes(disk)
    return path


def refusal(path, declared="qcow2"):
    with pytest.raises(ItemError) as raised:
        inspection.inspect(str(path), "evil", declared)
    assert raised.value.fault == "request"
    assert str(raised.value).startswith("image evil: ") or "inspect image evil" in str(raised.value)
    return str(raised.value)


def test_a_good_qcow2_is_as_large_as_it_says(good):
    assert inspection.inspect(str(good), "good", "qcow2") == 8 * 2**20


@pytest.mark.parametrize(
    "options",
    [["-o", "compat=0.10"], ["-o", "compression_type=zstd"], ["-o", "lazy_refcounts=on"]],
)
def test_the_harmless_variants_of_qcow2_are_taken(tmp_path, qemu_img, options):
    qemu_img("create", "-f", "qcow2", *options, "disk", "9M")
    assert inspection.inspect(str(tmp_path / "disk"), "good", "qcow2") == 9 * 2**20


def test_extended_l2_entries_are_refused_everywhere_since_some_hosts_have_an_inspector_that_does(tmp_path, qemu_img):
    qemu_img("create", "-f", "qcow2", "-o", "extended_l2=on", "disk", "9M")
    assert "has extended L2 entries" in refusal(tmp_path / "disk")


def test_a_raw_disk_with_partitions_is_taken(tmp_path):
    (tmp_path / "disk").write_bytes(bytes(510) + b"\x55\xaa" + bytes(2**20 - 512))
    assert inspection.inspect(str(tmp_path / "disk"), "good", "raw") == 2**20


def test_a_backing_file_is_refused(tmp_path, qemu_img):
    qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "evil")
    assert "has a backing file" in refusal(tmp_path / "evil")


def test_a_backing_file_declared_raw_is_refused(tmp_path, qemu_img):
    qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "evil")
    assert "disk_format is raw, but the image is qcow2" in refusal(tmp_path / "evil", "raw")


def test_a_data_file_is_refused(tmp_path, qemu_img):
    qemu_img("create", "-f", "qcow2", "-o", "data_file=outside,data_file_raw=on", "evil", "1M")
    assert "keeps its data in another file" in refusal(tmp_path / "evil")


def test_a_data_file_hidden_in_an_extension_is_refused(tmp_path, qemu_img):
    qemu_img("create", "-f", "qcow2", "-o", "data_file=outside", "evil", "1M")
    patched(tmp_path / "evil", 72, bytes(8))
    assert "names an external data file" in refusal(tmp_path / "evil")


@pytest.mark.parametrize(
    "offset,content,reason",
    [
        (4, struct.pack(">I", 1), "the image is qcow:"),
        (4, struct.pack(">I", 4), "has version 4"),
        (8, struct.pack(">Q", 512), "has a backing file"),
        (20, struct.pack(">I", 40), "clusters of 2^40 bytes"),
        (32, struct.pack(">I", 2), "is encrypted"),
        (72, struct.pack(">Q", 1), "was not closed cleanly"),
        (72, struct.pack(">Q", 2), "is marked corrupt"),
        (72, struct.pack(">Q", 1 << 5), "unknown incompatible features (bits 0x20)"),
        (72, struct.pack(">Q", 1 << 63), "unknown incompatible features"),
        (100, struct.pack(">I", 96), "a header of 96 bytes"),
        (100, struct.pack(">I", 2**31), "a header of 2147483648 bytes"),
    ],
)
def test_a_header_that_says_something_odd_is_refused(good, offset, content, reason):
    patched(good, offset, content)
    assert reason in refusal(good)


def test_extensions_without_an_end_are_refused(good):
    patched(good, 104, b"\xff" * (inspection.HEAD - 104))
    assert "header extensions without an end" in refusal(good)


@pytest.mark.parametrize("size", [4, 50, 80, 103])
def test_a_cut_header_is_refused(good, size):
    good.write_bytes(good.read_bytes()[:size])
    assert "is cut off" in refusal(good)


def test_a_qcow2_whose_tables_are_nonsense_is_refused_by_qemu_img(good):
    patched(good, 40, struct.pack(">Q", 2**63))  # the table of clusters is where no file reaches
    assert "inspect image evil" in refusal(good)


@pytest.mark.parametrize("kind", ["vmdk", "vdi", "vhdx", "qed", "vpc", "parallels"])
@pytest.mark.parametrize("declared", ["raw", "qcow2"])
def test_another_format_is_refused_whatever_was_declared(tmp_path, qemu_img, kind, declared):
    qemu_img("create", "-f", kind, "evil", "4M")
    name = {"vpc": "vhd"}.get(kind, kind)
    assert f"but the image is {name}" in refusal(tmp_path / "evil", declared)


def test_a_luks_container_is_no_raw_disk(tmp_path):
    (tmp_path / "evil").write_bytes(b"LUKS\xba\xbe\0\1" + bytes(4096))
    assert "but the image is luks" in refusal(tmp_path / "evil", "raw")


def test_a_fixed_vhd_has_its_sign_at_the_end(tmp_path, qemu_img):
    qemu_img("create", "-f", "vpc", "-o", "subformat=fixed", "evil", "4M")
    assert "but the image is vhd" in refusal(tmp_path / "evil", "raw")


@pytest.mark.parametrize(
    "text",
    [
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nRW 8 FLAT "/etc/passwd" 0\n',
        '# harmless\n\n# looking\n  \nversion=2\nRW 8 FLAT "/etc/passwd" 0\n',
    ],
)
def test_a_vmdk_in_words_is_refused(tmp_path, text):
    (tmp_path / "evil").write_text(text)
    assert "but the image is vmdk" in refusal(tmp_path / "evil", "raw")


def test_two_formats_at_once_are_refused(good):
    patched(good, 0x8001, b"CD001")
    assert "looks like qcow2 and iso at once" in refusal(good)


@pytest.mark.parametrize(
    "start,name",
    [(b"\x1f\x8b\x08", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh91AY&SY", "bzip2")],
)
def test_a_packed_image_is_named_as_such(tmp_path, start, name):
    (tmp_path / "packed").write_bytes(start + bytes(100))
    assert f"it is a {name} archive" in refusal(tmp_path / "packed", "raw")


def test_an_empty_file_looks_like_raw():
    assert inspection.detect(io.BytesIO(b"")) == ["raw"]
