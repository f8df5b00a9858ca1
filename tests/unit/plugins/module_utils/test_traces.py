# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in the directories of a host is found and swept; what is in use, young or not ours stays."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time

import libvirt
import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils import _traces
from ansible_collections.virtfleet.compute.plugins.module_utils._backups import traces as backup_traces
from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import traces as hypervisor
from ansible_collections.virtfleet.compute.plugins.module_utils._images import traces as images
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._model.trace import Place
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import traces as volumes
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import host_uri, record

UUID = "aaaaaaaa-bbbb-4ccc-8ddd-000000000001"


@pytest.fixture
def place(tmp_path):
    """A host with one folder of an instance."""
    folder = tmp_path / "state" / "instances" / UUID
    folder.mkdir(parents=True)
    (folder / "volumes.json").write_text(json.dumps({"volumes": [{"name": "root", "path": f"{folder}/root.qcow2"}]}))
    (folder / "root.qcow2").write_bytes(b"data")
    return Place(str(tmp_path / "state"), str(tmp_path / "run"))


def folder_of(place, *names):
    """Return a path in the folder of the instance."""
    return os.path.join(place.state_dir, "instances", UUID, *names)


def asked(kind, name, **more):
    """Return what a sweep is asked for."""
    return {"kind": kind, "name": name, "owner": "", **more}


def sweep(place, kind, name, grace=0, rehearse=False, **more):
    """Sweep one thing and return whether it was removed."""
    return _traces.sweep(place, asked(kind, name, **more), grace, rehearse).changed


def test_a_folder_is_found_with_its_owner_its_age_and_what_it_holds(place):
    for name in ("volumes.json", "root.qcow2", ""):
        os.utime(folder_of(place, name), (time.time() - 100,) * 2)
    os.utime(folder_of(place, "volumes.json"), (time.time() - 5000,) * 2)
    (found,) = volumes.find_folders(place)
    assert (found.owner, found.removable) == (UUID, True) and "root.qcow2" in found.evidence
    assert 100 <= found.age < 160 and 5000 <= found.old < 5060


def test_a_sweep_takes_the_folder_and_a_second_one_finds_nothing(place):
    assert sweep(place, "folder", UUID, rehearse=True) and os.path.exists(folder_of(place, "root.qcow2"))
    assert sweep(place, "folder", UUID) and not os.path.exists(folder_of(place))
    assert not sweep(place, "folder", UUID)
    assert os.listdir(place.run_dir) == []


@pytest.mark.parametrize("what", ["young", "domain", "stranger", "link", "open"])
def test_a_folder_stays_and_says_why(place, what):
    domains, grace = {}, 0
    if what == "young":
        grace = 3600
    elif what == "domain":
        domains = {UUID: "<domain/>"}
    elif what == "stranger":
        with open(folder_of(place, "precious.txt"), "w"):
            pass
    elif what == "link":
        os.symlink("/etc/passwd", folder_of(place, "more.qcow2"))
    with open(folder_of(place, "root.qcow2"), "r+b") as disk:
        if what == "open":  # as QEMU does, and as seen from another open file
            lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0)
            fcntl.fcntl(disk.fileno(), fcntl.F_OFD_SETLK, lock)
        with pytest.raises(ItemError, match=r"nothing was removed"):
            sweep(Place(place.state_dir, place.run_dir, domains), "folder", UUID, grace)
    assert os.path.exists(folder_of(place, "root.qcow2"))


def test_what_is_beside_the_files_of_a_guest_is_found_and_what_its_host_knows_is_not(place):
    here = Place(place.state_dir, place.run_dir, {UUID: f"<source file='{folder_of(place, 'known.raw')}'/>"})
    for name in ("known.raw", "extra.qcow2", "config.iso", "root.qcow2.new", "console.log"):
        with open(folder_of(here, name), "w"):
            pass
    assert [one.name for one in volumes.find_disks(here)] == [f"{UUID}/config.iso", f"{UUID}/extra.qcow2"]
    (half,) = volumes.find_unfinished(here)
    assert half.within == UUID and sweep(here, "unfinished", half.name)
    assert sorted(os.listdir(folder_of(here))) == [
        "config.iso",
        "console.log",
        "extra.qcow2",
        "known.raw",
        "root.qcow2",
        "volumes.json",
    ]


def test_a_disk_that_nobody_knows_is_never_swept(place):
    with pytest.raises(ItemError, match="does not remove a disk"):
        sweep(place, "disk", f"{UUID}/extra.qcow2")


def test_half_made_images_are_found_once_each_and_finished_ones_never(place):
    folder = os.path.join(place.state_dir, "images")
    os.makedirs(folder)
    for name in ("aa.part", "aa.part.json", "aa.json.new", "bb.qcow2", "bb.json", "cc.converted"):
        with open(os.path.join(folder, name), "w"):
            pass
    assert [one.name for one in images.find_images(place)] == ["aa", "cc"]
    assert sweep(place, "image", "aa")
    assert sorted(os.listdir(folder)) == ["bb.json", "bb.qcow2", "cc.converted"]


def test_an_image_that_is_being_fetched_is_no_trace(place):
    folder = os.path.join(place.state_dir, "images")
    os.makedirs(folder)
    os.makedirs(place.run_dir)
    with open(os.path.join(folder, "aa.part"), "w"):
        pass
    with open(images.lock_of(place, "aa"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert images.find_images(place) == []
        with pytest.raises(ItemError, match="at work on image aa"):
            images.remove_image(place, _traces.Trace("image", "aa", "", ""))
    assert os.path.exists(os.path.join(folder, "aa.part"))


def document(folder):
    """Return the domain of an instance for libvirt's test driver."""
    text = domain_xml(Instance.from_record(record()), Guest("qemu", str(folder)))
    return text.replace('type="qemu"', 'type="test"', 1).replace("type='qemu'", "type='test'", 1)


@pytest.fixture
def connection(tmp_path):
    """A libvirt of its own, with one domain of ours that is off."""
    opened = libvirt.open(host_uri(tmp_path))
    opened.defineXML(document(tmp_path))
    yield opened
    opened.close()


def test_a_domain_of_ours_that_is_off_goes_and_one_that_runs_stays(connection, tmp_path):
    uuid = record()["uuid"]
    connection.lookupByUUIDString(uuid).create()
    running = hypervisor.place(connection, str(tmp_path), str(tmp_path))
    assert uuid in running.live
    with pytest.raises(ItemError, match="never touches a guest that runs"):
        sweep(running, "domain", "web-1", owner=uuid)
    connection.lookupByUUIDString(uuid).destroy()
    there = hypervisor.place(connection, str(tmp_path), str(tmp_path))
    assert sweep(there, "domain", "web-1", owner=uuid, rehearse=True) and sweep(there, "domain", "web-1", owner=uuid)
    now = hypervisor.place(connection, str(tmp_path), str(tmp_path))
    assert uuid not in now.domains and not sweep(now, "domain", "web-1", owner=uuid)


def test_a_domain_that_is_not_ours_stays(connection, tmp_path):
    connection.defineXML(
        "<domain type='test'><name>other</name><memory>1024</memory><os><type>hvm</type></os></domain>"
    )
    there = hypervisor.place(connection, str(tmp_path), str(tmp_path))
    (stranger,) = [uuid for uuid in there.domains if uuid != record()["uuid"]]
    with pytest.raises(ItemError, match="is not ours"):
        sweep(there, "domain", "other", owner=stranger)


def test_a_record_that_cannot_be_read_is_found(tmp_path):
    broken = document(tmp_path).replace('{"', "{", 1)
    (found,) = hypervisor.find_records(Place(domains={"u": broken, "x": "<domain/>"}))
    assert "cannot be read" in found.evidence and not found.removable


def test_every_kind_that_cannot_be_looked_at_is_told_and_the_others_are_seen(place, connection):
    with open(os.path.join(place.state_dir, "ports"), "w"):
        pass
    found, errors = _traces.look(Place(place.state_dir, place.run_dir, connection=connection))
    assert "folder" in {one.kind for one in found} and set(errors) >= {"port", "secret"}


def test_the_sweep_takes_first_what_uses_the_others():
    given = [asked("folder", "f"), asked("port", "p"), asked("domain", "d"), asked("unheard", "u")]
    assert [given[one]["name"] for one in _traces.ordered(given)] == ["d", "p", "f", "u"]


@pytest.mark.parametrize(
    "usage,owner",
    [(f"/s/instances/{UUID}/root.qcow2", UUID), (f"virtfleet:{UUID}/root", UUID), ("/srv/x", ""), ("virtfleet", "")],
)
def test_whose_a_secret_is(usage, owner):
    assert hypervisor.owner_of(usage, "/s/instances/") == owner


def test_what_killed_copies_left_is_found_and_only_that_is_swept(place):
    snapshots, backups = (os.path.join(place.state_dir, name) for name in ("snapshots", "backups"))
    for directory in (snapshots, os.path.join(backups, UUID), os.path.join(backups, "not-a-uuid")):
        os.makedirs(directory)
    record = {"name": "kept", "instance": "web-1", "uuid": UUID, "created_at": "", "quiesced": False, "copies": []}
    stray = [
        os.path.join(snapshots, "golden.qcow2.new"),
        os.path.join(backups, UUID, "half@root.qcow2"),
    ]
    fresh = os.path.join(snapshots, "now.qcow2.new")
    whole = os.path.join(backups, UUID, "kept@root.qcow2")
    for path in (*stray, fresh, whole, os.path.join(backups, "not-a-uuid", "x.new")):
        with open(path, "w"):
            pass
    with open(os.path.join(backups, UUID, "kept.json"), "w") as stream:
        json.dump(record, stream)
    for path in (*stray, whole):
        os.utime(path, (time.time() - 100,) * 2)
    found = {one.name: one.within for one in backup_traces.find_copies(place)}
    assert found == {stray[0]: "", stray[1]: UUID}
    assert sweep(place, "copy", stray[0], rehearse=True) and os.path.exists(stray[0])
    assert sweep(place, "copy", stray[0]) and sweep(place, "copy", stray[1])
    assert not sweep(place, "copy", fresh) and os.path.exists(fresh) and os.path.exists(whole)
    assert not any(map(os.path.exists, stray)) and not sweep(place, "copy", stray[0])
