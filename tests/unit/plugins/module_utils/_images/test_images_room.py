# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes when the cache is full, what never goes, and what is verified and removed on demand."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import struct
import subprocess
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, chain, records, room
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

UUID = "6d0a5d4e-8e4e-5d3c-9d3f-2a4c6e8f0a1b"
MIB = 2**20


@pytest.fixture
def several(host):
    """Three cached raw images of 4 MiB, one, two and three, of which one was used first, all long ago."""
    for index, name in enumerate(("one", "two", "three")):
        host.web.files[f"/{name}"] = os.urandom(4 * MIB)
        host.ensure(**wanted(host, name))
        long_ago = time.time() - 10_000 + index
        os.utime(records.path(host.images, host.image(**wanted(host, name)).id), (long_ago, long_ago))
    return host


def wanted(host, name):
    digest = "sha256:" + hashlib.sha256(host.web.files[f"/{name}"]).hexdigest()
    return {"name": name, "url": host.web.url(f"/{name}"), "disk_format": "raw", "checksum": digest}


def there(host):
    return [name for name in ("one", "two", "three", "four") if f"/{name}" in host.web.files and found(host, name)]


def found(host, name):
    return cache.find(host.images, host.image(**wanted(host, name)))


def fourth(host, limits, size=4):
    host.web.files["/four"] = os.urandom(size * MIB)
    return host.ensure(limits=limits, **wanted(host, "four"))


def needing(host, *names):
    return lambda: {found(host, name).file: ["web-1", "web-2"] for name in names}


def test_below_its_limit_the_cache_keeps_everything_and_asks_nobody(several):
    def nobody():
        raise AssertionError("libvirt was asked")

    fourth(several, room.Room(limit=17 * MIB, users=nobody))
    assert there(several) == ["one", "two", "three", "four"]


def test_what_was_not_used_for_longest_goes_first(several):
    fourth(several, room.Room(limit=13 * MIB))
    assert there(several) == ["two", "three", "four"]


def test_a_use_counts(several):
    several.ensure(**wanted(several, "one"))
    fourth(several, room.Room(limit=13 * MIB))
    assert there(several) == ["one", "three", "four"]


def test_what_a_guest_needs_stays(several):
    fourth(several, room.Room(limit=9 * MIB, users=needing(several, "one")))
    assert there(several) == ["one", "four"]


def test_a_cache_full_of_needed_images_is_told_with_its_numbers(several):
    with pytest.raises(ItemError) as raised:
        fourth(several, room.Room(limit=13 * MIB, users=needing(several, "one", "two", "three")))
    said = str(raised.value)
    assert "image four: no space left in " in said and "4.0 MiB more are needed" in said
    assert "12 MiB of 13 MiB are cached (image_cache_gb)" in said and "guests need them" in said
    assert there(several) == ["one", "two", "three"]


def test_what_was_used_just_now_stays_since_a_volume_may_be_about_to_be_made_of_it(several):
    for name in ("one", "two", "three"):
        several.ensure(**wanted(several, name))
    with pytest.raises(ItemError, match="no space left"):
        fourth(several, room.Room(limit=13 * MIB))


def test_the_floor_of_free_space_makes_room_too(several, monkeypatch):
    real = sum(records.sizes(several.images).values())

    def free(_directory):  # a disk with room for 16 MiB
        return 16 * MIB + real - sum(records.sizes(several.images).values()) - real

    monkeypatch.setattr(room, "free_bytes", free)
    fourth(several, room.Room(floor=4 * MIB))
    assert there(several) == ["two", "three", "four"]


def test_downloads_that_nobody_goes_on_with_go_before_any_image(several):
    several.web.cut = MIB
    several.web.files["/broken"] = os.urandom(2 * MIB)
    with pytest.raises(ItemError):
        several.ensure(**wanted(several, "broken"))
    several.web.cut = None
    (part,) = [name for name in several.names() if name.endswith(".part")]
    for name in (part, part + ".json"):
        os.utime(os.path.join(several.images, name), (1, 1))
    fourth(several, room.Room(limit=13 * MIB))
    assert not [name for name in several.names() if ".part" in name]


def test_an_image_without_a_record_can_go(several):
    file = found(several, "three").file
    records.forget(several.images, file)
    os.utime(os.path.join(several.images, file))
    assert room.GRACE and file in records.sizes(several.images)
    assert records.last_use(several.images, file) > time.time() - 60


@pytest.fixture
def overlay(several):
    """A function that makes a qcow2 over a cached image, or over another file."""

    def make(path, base):
        backing = base if os.path.isabs(base) else cache.path(several.images, found(several, base))
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "raw", str(path)]
        subprocess.run(command if backing.endswith(".raw") else [*command[:-2], "qcow2", command[-1]], check=True)
        return str(path)

    return make


def needed(several, state_dir, *guests):
    known = {found(several, name).file: name for name in there(several)}
    users = chain.users(several.images, str(state_dir), [chain.Disks(*one) for one in guests])
    return {known[file]: who for file, who in users.items()}


def test_the_whole_chain_of_any_domain_counts(several, overlay, tmp_path):
    root = overlay(tmp_path / "elsewhere/root.qcow2", "one")
    top = overlay(tmp_path / "elsewhere/snapshot.qcow2", root)
    raw = str(tmp_path / "data.raw")
    pathlib.Path(raw).write_bytes(bytes(4096))
    guests = [("u-1", "foreign", (top, raw, "/dev/null", "/nowhere")), ("u-2", "other", (root,))]
    assert needed(several, tmp_path / "state", *guests) == {"one": ["foreign", "other"]}


def test_what_lies_in_the_directory_of_an_instance_counts_even_half_made(several, overlay, tmp_path):
    state = tmp_path / "state"
    overlay(state / f"instances/{UUID}/root.qcow2.new", "two")
    assert needed(several, state) == {"two": [f"instance {UUID}"]}
    assert needed(several, state, (UUID, "web-1", ())) == {"two": ["web-1"]}


def test_a_base_that_is_a_disk_itself_counts(several, tmp_path):
    guests = [("u", "odd", (cache.path(several.images, found(several, "three")),))]
    assert needed(several, tmp_path, *guests) == {"three": ["odd"]}


def test_a_json_name_and_a_relative_one_count(several, tmp_path):
    for name, backing in (("json", 'json:{"file": {"filename": "%s"}}'), ("relative", "images/%s")):
        file = found(several, "one").file
        text = (backing % (f"{several.images}/{file}" if name == "json" else file)).encode()
        head = struct.pack(">4sIQI", b"QFI\xfb", 3, 512, len(text)).ljust(512, b"\0") + text
        (tmp_path / name).write_bytes(head)
        assert needed(several, tmp_path, ("u", name, (str(tmp_path / name),))) == {"one": [name]}


def test_a_header_that_a_guest_wrote_opens_nothing_and_ends(several, tmp_path):
    loop = str(tmp_path / "loop")
    head = struct.pack(">4sIQI", b"QFI\xfb", 3, 512, len(loop)).ljust(512, b"\0") + loop.encode()
    pathlib.Path(loop).write_bytes(head)
    os.mkfifo(tmp_path / "pipe")
    pipe = struct.pack(">4sIQI", b"QFI\xfb", 3, 2**63, 2**31)
    (tmp_path / "far").write_bytes(pipe)
    nul = struct.pack(">4sIQI", b"QFI\xfb", 3, 20, 4) + b"/a\0b"
    (tmp_path / "nul").write_bytes(nul)
    guests = [("u", "guest", tuple(str(tmp_path / name) for name in ("loop", "pipe", "far", "nul")))]
    assert needed(several, tmp_path, *guests) == {}


def test_an_image_is_removed_unless_a_guest_needs_it(several):
    one, two = ((name, several.image(**wanted(several, name)).id) for name in ("one", "two"))
    assert cache.remove(several.images, several.run_dir, *one, dict, change=False) and found(several, "one")
    assert cache.remove(several.images, several.run_dir, *one, dict)
    assert not cache.remove(several.images, several.run_dir, *one, dict)
    with pytest.raises(ItemError, match="image two: made from it on this host and to be deleted first: web-1, web-2"):
        cache.remove(several.images, several.run_dir, *two, needing(several, "two"))
    assert there(several) == ["two", "three"]


def test_verify_reads_every_byte_and_a_damaged_image_is_not_used_again(several):
    image = several.image(**wanted(several, "one"))
    used = os.stat(records.path(several.images, image.id)).st_mtime
    assert cache.verify(several.images, image.name, image.id).file == found(several, "one").file
    assert os.stat(records.path(several.images, image.id)).st_mtime == pytest.approx(used)
    here, state = cache.path(several.images, found(several, "one")), None
    state = os.stat(here)
    os.chmod(here, 0o644)
    with open(here, "r+b") as stream:  # the date is put back: only the content can tell
        stream.seek(MIB)
        stream.write(b"X")
    os.chmod(here, 0o444)
    os.utime(here, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert found(several, "one")
    for _twice in range(2):
        with pytest.raises(ItemError, match="is not what was cached, somebody altered or removed it"):
            cache.verify(several.images, image.name, image.id, change=False)
    with pytest.raises(ItemError):
        cache.verify(several.images, image.name, image.id)
    assert found(several, "one") is None
    assert cache.verify(several.images, image.name, image.id) is None
    several.ensure(**wanted(several, "one"))
    assert pathlib.Path(here).read_bytes() == several.web.files["/one"]


def test_a_new_release_never_takes_the_place_of_an_old_one(host, disk):
    sums = {"checksum": host.web.url("/SUMS")}

    def publish(content):
        host.web.files["/disk.qcow2"] = content
        host.web.files["/SUMS"] = f"{hashlib.sha256(content).hexdigest()}  disk.qcow2\n".encode()

    publish(disk)
    old = host.ensure(**sums)
    publish(disk + bytes(65536))
    os.chmod(cache.path(host.images, old), 0o644)
    pathlib.Path(cache.path(host.images, old)).write_bytes(b"altered by hand")
    new = host.ensure(**sums)
    assert new.file != old.file
    assert pathlib.Path(cache.path(host.images, old)).read_bytes() == b"altered by hand"


def test_one_content_at_two_addresses_is_one_file(host, disk):
    first = host.ensure()
    inode = os.stat(cache.path(host.images, first)).st_ino
    host.web.files["/same.qcow2"] = disk
    second = host.ensure(url=host.web.url("/same.qcow2"), checksum=None)
    assert second.file == first.file and os.stat(cache.path(host.images, first)).st_ino == inode
    assert host.ensure() and len([name for name in host.names() if name.endswith(".qcow2")]) == 1
    records.drop(host.images, first.file)
    assert host.names() == []


def test_records_are_plain_json(host):
    base = host.ensure()
    told = json.loads(pathlib.Path(records.path(host.images, host.image().id)).read_text())
    assert told["checksum"] == base.checksum and told["verified_at"] == told["fetched_at"]
