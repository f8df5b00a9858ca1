# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors, other hosts and packed images, against a real server and the real tools."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, room
from ansible_collections.virtfleet.compute.plugins.module_utils._images.source import peers_of

PACKERS = {"gz": "gzip", "xz": "xz", "zst": "zstd", "bz2": "bzip2"}
DEAD = "http://127.0.0.1:9/disk.qcow2"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def packed(content, suffix):
    return subprocess.run([PACKERS[suffix], "-c"], input=content, capture_output=True, check=True).stdout


def content_of(host, **changes):
    return pathlib.Path(cache.path(host.images, cache.find(host.images, host.image(**changes)))).read_bytes()


def test_the_next_mirror_is_asked_when_one_fails(host, disk):
    urls = [DEAD, host.web.url("/gone.qcow2"), host.web.url("/disk.qcow2")]
    assert host.ensure(url=urls).url == urls[2]
    assert content_of(host, url=urls) == disk


def test_a_mirror_with_another_file_is_passed_over(host, disk):
    host.web.files["/old.qcow2"] = bytes(len(disk))
    assert host.ensure(url=[host.web.url("/old.qcow2"), host.web.url("/disk.qcow2")]).checksum == host.digest


def test_what_every_mirror_said_is_told(host):
    said, fault = host.refusal(url=[DEAD, host.web.url("/gone.qcow2")])
    assert said.startswith("image disk: no mirror has it: cannot fetch http://127.0.0.1:9") and "answers 404" in said
    assert fault == "host"
    assert host.refusal(url=[host.web.url("/a.qcow2"), host.web.url("/b.qcow2")])[1] == "request"


def test_a_download_goes_on_at_the_mirror_where_it_began(host):
    urls = [host.web.url("/late.qcow2"), host.web.url("/disk.qcow2")]
    host.web.cut = 100000
    host.refusal(url=urls)
    host.web.files["/late.qcow2"] = host.web.files["/disk.qcow2"]
    host.web.cut, host.web.requests[:] = None, []
    host.ensure(url=urls)
    assert host.web.requests == [("/disk.qcow2", "bytes=100000-")]


def peer(host, disk, path="/secret-token/disk", checksum=None):
    host.web.files[path] = disk
    told = {"id": host.image().id, "host": "kvm7", "url": host.web.url(path), "checksum": checksum or host.digest}
    return peers_of([told])[host.image().id]


def test_another_host_is_asked_before_the_origin(host, disk):
    base = host.ensure(peers=peer(host, disk))
    assert base.url == "host kvm7"
    assert [path for path, _range in host.web.requests] == ["/secret-token/disk"]
    assert content_of(host) == disk


def test_what_another_host_hands_over_is_verified_on_arrival(host, disk):
    assert host.ensure(peers=peer(host, bytes(len(disk)))).url == host.web.url("/disk.qcow2")


def test_a_host_that_fails_in_the_middle_gives_way_to_the_origin(host, disk):
    host.web.cut = 100000
    said, _fault = host.refusal(peers=peer(host, disk))
    assert "secret-token" not in said
    host.web.cut = None
    del host.web.files["/secret-token/disk"]
    assert host.ensure(peers=peer(host, b"", "/other")).url == host.web.url("/disk.qcow2")


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_packed_image_is_unpacked_and_both_digests_are_known(host, disk, suffix):
    archive = packed(disk, suffix)
    host.web.files[f"/disk.{suffix}"] = archive
    wanted = {"url": host.web.url(f"/disk.{suffix}"), "checksum": digest(archive)}
    base = host.ensure(**wanted)
    assert (base.checksum, base.packed) == (host.digest, digest(archive))
    assert content_of(host, **wanted) == disk
    assert len(host.names()) == 2


def test_a_raw_image_has_its_holes_when_it_is_unpacked(host):
    plain = b"\x55" * 4096 + bytes(8 * 2**20)
    host.web.files["/raw.xz"] = packed(plain, "xz")
    wanted = {"url": host.web.url("/raw.xz"), "checksum": digest(host.web.files["/raw.xz"]), "disk_format": "raw"}
    base = host.ensure(**wanted)
    state = os.stat(cache.path(host.images, base))
    assert state.st_size == base.virtual_size == len(plain) and state.st_blocks * 512 < 2**20


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_a_broken_archive_is_refused_and_leaves_nothing(host, disk, suffix, damage):
    archive = bytearray(packed(os.urandom(100000) + disk, suffix))
    if damage == "cut":
        del archive[-20:]
    else:
        archive[len(archive) // 2] ^= 255
    host.web.files["/broken"] = bytes(archive)
    said, fault = host.refusal(url=host.web.url("/broken"), checksum=digest(archive))
    assert "cannot unpack it: " in said and fault == "request"
    assert host.names() == []


def test_an_archive_in_an_archive_is_refused(host, disk):
    archive = packed(packed(disk, "gz"), "xz")
    host.web.files["/twice"] = archive
    assert "it is a gzip archive" in host.refusal(url=host.web.url("/twice"), checksum=digest(archive))[0]
    assert host.names() == []


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_stopped_at_the_size_that_an_image_may_have(host, suffix):
    archive = packed(bytes(20 * 2**20), suffix)
    host.web.files["/bomb"] = archive
    limits = room.Room(largest=16 * 2**20)
    said, fault = host.refusal(url=host.web.url("/bomb"), checksum=digest(archive), disk_format="raw", limits=limits)
    assert len(archive) < 2**17 and "unpacked it is more than 16 MiB" in said and fault == "request"
    assert host.names() == []


def test_a_disk_of_exabytes_is_refused(host, tmp_path, qemu_img):
    qemu_img("create", "-f", "qcow2", "-o", "cluster_size=2M", "huge", "1P")
    host.web.files["/huge"] = (tmp_path / "huge").read_bytes()
    limits = room.Room(largest=2**40)
    said, fault = host.refusal(url=host.web.url("/huge"), checksum=None, limits=limits)
    assert "it is a disk of 1048576 GiB, and image_max_gb is 1024" in said and fault == "request"
