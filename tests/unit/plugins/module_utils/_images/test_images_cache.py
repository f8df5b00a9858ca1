# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching and keeping, against a real server with real faults."""

from __future__ import annotations

import hashlib
import os
import pathlib
import resource
import threading

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, records


def test_an_image_is_cached_whole_and_read_only(host, disk):
    base = host.ensure()
    path = pathlib.Path(cache.path(host.images, cache.find(host.images, host.image())))
    assert path.read_bytes() == disk
    assert path.stat().st_mode & 0o7777 == 0o444
    assert (base.virtual_size, base.checksum, base.format) == (8 * 2**20, host.digest, "qcow2")
    assert host.names() == [f"{path.stem}.json", path.name]


def test_a_cached_image_asks_nobody(host):
    first = host.ensure()
    host.web.shutdown()
    host.web.server_close()
    assert host.ensure() == first


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_checksum_comes_out_of_a_sums_file(host, disk, algorithm):
    digest = hashlib.new(algorithm, disk).hexdigest()
    host.web.files["/SUMS"] = f"{'0' * 64}  other\n{digest}  disk.qcow2\n".encode()
    assert host.ensure(checksum=host.web.url("/SUMS")).checksum == f"{algorithm}:{digest}"


def test_a_file_url_is_copied(host, tmp_path, disk):
    (tmp_path / "my disk.qcow2").write_bytes(disk)
    (tmp_path / "SHA256SUMS").write_text(f"{host.digest[7:]} *my disk.qcow2\n")
    base = host.ensure(url=f"file://{tmp_path}/my%20disk.qcow2", checksum=f"file://{tmp_path}/SHA256SUMS")
    assert base.checksum == host.digest
    assert host.web.requests == []


@pytest.mark.parametrize("name,reason", [("nothing", "No such file"), ("pipe", "is not a file")])
def test_a_file_url_that_is_no_file_is_refused(host, tmp_path, name, reason):
    os.mkfifo(tmp_path / "pipe")
    assert reason in host.refusal(url=f"file://{tmp_path}/{name}")[0]


def test_twenty_callers_make_one_download(host):
    host.web.delay = 0.02
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(host.ensure())) for _number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20 and len(set(answers)) == 1
    assert len(host.web.requests) == 1


def test_a_wrong_checksum_leaves_nothing(host):
    said, fault = host.refusal(checksum="sha256:" + "0" * 64)
    assert "checksum of http" in said and host.digest in said and "was expected" in said and fault == "request"
    assert host.names() == []


def test_a_page_for_people_is_no_image(host):
    host.web.files["/disk.qcow2"] = b"\n<!DOCTYPE HTML><title>Log in</title>"
    assert "is an HTML page, not an image" in host.refusal()[0]
    assert host.names() == []


def test_an_empty_file_is_no_image(host):
    host.web.files["/disk.qcow2"] = b""
    assert "disk.qcow2 is empty" in host.refusal(disk_format="raw", checksum=None)[0]
    assert host.names() == []


def test_a_missing_image_is_a_fault_of_the_request(host):
    del host.web.files["/disk.qcow2"]
    said, fault = host.refusal()
    assert said.startswith("image disk: ") and "answers 404" in said and fault == "request"


def test_a_server_that_is_down_is_a_fault_of_the_host(host):
    host.web.shutdown()
    host.web.server_close()
    said, fault = host.refusal()
    assert "cannot fetch http" in said and "refused" in said and fault == "host"


def test_a_redirect_does_not_lead_to_a_file(host):
    host.web.redirect = "file:///etc/passwd"
    assert "302" in host.refusal()[0] or "not allowed" in host.refusal()[0]


@pytest.mark.parametrize("cut", [0, 1, 100, 65536, 300000, -1])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_is_told_and_the_next_run_repairs(host, disk, cut, ranges):
    host.web.ranges, host.web.cut = ranges, cut if cut >= 0 else len(disk) - 1
    said, fault = host.refusal()
    assert f"ended after {host.web.cut} of {len(disk)} bytes" in said and fault == "host"
    host.web.cut, host.web.requests[:] = None, []
    assert host.ensure().checksum == host.digest
    assert host.web.requests == [("/disk.qcow2", f"bytes={host_start(ranges, cut, disk)}-")]


def host_start(ranges, cut, disk):
    return (cut if cut >= 0 else len(disk) - 1) if ranges else 0


def test_an_image_that_changed_between_two_attempts_is_not_mixed(host, disk):
    host.web.files["/disk.qcow2"], host.web.cut = bytes(len(disk)), 200000
    host.refusal()
    host.web.files["/disk.qcow2"], host.web.cut, host.web.etag = disk, None, '"2"'
    assert host.ensure().checksum == host.digest


def test_a_mixed_image_without_any_version_is_never_continued(host, disk):
    host.web.etag, host.web.cut = "", 200000
    host.refusal()
    host.web.cut, host.web.requests[:] = None, []
    host.ensure()
    assert host.web.requests == [("/disk.qcow2", "bytes=0-")]


def test_a_part_that_is_longer_than_the_image_begins_anew(host):
    host.web.cut = 300000
    host.refusal()
    (part,) = [name for name in host.names() if name.endswith(".part")]
    with open(os.path.join(host.images, part), "ab") as stream:
        stream.write(bytes(2**21))
    host.web.cut = None
    assert host.ensure().checksum == host.digest


def test_a_stream_without_length_and_checksum_is_refused(host):
    host.web.length = host.web.ranges = False
    assert "tells no length" in host.refusal(checksum=None)[0]
    assert host.ensure().checksum == host.digest


def test_an_image_without_checksum_is_remembered_with_one(host):
    assert host.ensure(checksum=None).checksum == host.digest


def test_a_hostile_image_is_deleted(host, tmp_path, qemu_img):
    qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "evil")
    host.web.files["/evil"] = (tmp_path / "evil").read_bytes()
    said, fault = host.refusal(url=host.web.url("/evil"), checksum=None)
    assert "backing file" in said and fault == "request"
    assert host.names() == []


def test_a_full_disk_is_told_before_the_download(host, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((1, 1, 9, 9, 1000, 9, 9, 9, 9, 255)))
    assert "no space left" in host.refusal()[0]


def test_a_disk_that_fills_up_is_told_and_stays_as_free_as_it_was(host):
    host.web.length = host.web.ranges = False
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, before[1]))
    try:
        said, fault = host.refusal()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "no space left in" in said and fault == "host"
    assert host.names() == []


def test_slices_of_time_bring_the_image_step_by_step(host, disk):
    host.web.delay = 0.05
    answers = []
    while not answers or isinstance(answers[-1], str):
        answers.append(host.ensure(seconds=0.12))
    assert len(answers) > 2
    assert answers[0].startswith("disk: ") and " MiB of " in answers[0]
    assert answers[-1].checksum == host.digest
    starts = [int(asked[6:-1]) for _path, asked in host.web.requests]
    assert starts == sorted(set(starts)) and starts[-1] > 0


def test_a_server_that_cannot_resume_is_waited_for(host):
    host.web.ranges, host.web.delay = False, 0.05
    assert host.ensure(seconds=0.1).checksum == host.digest
    assert len(host.web.requests) == 1


def test_who_waits_for_another_run_says_so(host):
    with cache.locked(records.lock(host.run_dir, host.image().id)):
        assert host.ensure(seconds=0.1) == "disk: another run is fetching it"
    assert host.ensure(seconds=1).checksum == host.digest


def alterations():
    def writable(path):
        os.chmod(path, 0o644)

    def touched(path):
        os.utime(path, (1, 1))

    def overwritten(path):
        os.chmod(path, 0o644)
        with open(path, "r+b") as stream:
            stream.write(b"XXXX")

    def cut(path):
        os.truncate(path, 1000)

    def link(path):
        os.unlink(path)
        os.symlink("/etc/passwd", path)

    def broken_record(path):
        pathlib.Path(path).with_suffix(".json").write_text("{")

    return [(writable, 1), (touched, 1), (overwritten, 2), (cut, 2), (os.unlink, 2), (link, 2), (broken_record, 2)]


@pytest.mark.parametrize("alter,downloads", alterations(), ids=lambda one: getattr(one, "__name__", one))
def test_an_altered_image_is_repaired_and_only_fetched_when_its_content_is_not_the_same(host, disk, alter, downloads):
    host.ensure()
    path = cache.path(host.images, cache.find(host.images, host.image()))
    alter(path)
    assert cache.find(host.images, host.image()) is None
    host.ensure()
    assert cache.find(host.images, host.image())
    assert pathlib.Path(path).read_bytes() == disk
    assert len(host.web.requests) == downloads
