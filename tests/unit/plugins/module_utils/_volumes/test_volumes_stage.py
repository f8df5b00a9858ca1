# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of an instance, made by the real qemu-img and broken off at every step."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils import _qemu_img
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import (
    alone,
    file,
    guest_format,
    qcow2,
    raw,
    stage,
)

MIB, GIB = 2**20, 2**30
UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "vfs-web-1"))


class Host:
    """A host with one cached image of 8 MiB, whose first bytes are VIRTFLEET."""

    def __init__(self, directory):
        self.state_dir, self.run_dir = str(directory / "state"), str(directory / "run")
        self.directory = pathlib.Path(self.state_dir, "instances", UUID)
        images = pathlib.Path(self.state_dir, "images")
        images.mkdir(parents=True)
        self.base, plain = images / "base.qcow2", images / "base.raw"
        plain.write_bytes(b"VIRTFLEET" + bytes(8 * MIB - 9))
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", plain, self.base], check=True)
        self.base.chmod(0o444)
        plain.chmod(0o444)

    def instance(self, backend="qcow2", size_gb=1, image="tiny", base_format="qcow2", **more):
        base = str(self.base.with_suffix(f".{base_format}"))
        return {
            "name": "web-1",
            "uuid": UUID,
            "image": {"name": image, "path": base, "format": base_format, "virtual_size": 8 * MIB},
            "volumes": [{"name": "root", "backend": backend, "size_gb": size_gb, "boot_index": 0}],
            **more,
        }

    def provide(self, **changes):
        return stage.provide(self.instance(**changes), self.state_dir, self.run_dir)

    def withdraw(self, **changes):
        return stage.withdraw(self.instance(**changes), self.state_dir, self.run_dir)

    def refusal(self, **changes):
        before = self.names()
        with pytest.raises(ItemError) as raised:
            self.provide(**changes)
        assert self.names() == before
        return str(raised.value), raised.value.fault

    def names(self):
        return sorted(os.listdir(self.directory)) if self.directory.is_dir() else []


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def info(path, disk_format):
    told = subprocess.run(
        ["qemu-img", "info", "-U", "--output=json", "-f", disk_format, path], check=True, capture_output=True
    )
    return json.loads(told.stdout)


def test_a_qcow2_volume_is_an_overlay_with_explicit_formats(host):
    outcome = host.provide()
    (volume,) = outcome.facts["volumes"]
    told = info(volume["path"], "qcow2")
    assert outcome.changed and outcome.after["root"]["size"] == GIB
    assert (told["backing-filename"], told["backing-filename-format"]) == (str(host.base), "qcow2")
    assert told["virtual-size"] == volume["size"] == GIB
    assert (volume["format"], volume["base"], volume["next_boot"]) == ("qcow2", str(host.base), "")
    assert host.names() == ["root.qcow2", "volumes.json"]
    assert os.stat(volume["path"]).st_mode & 0o777 == 0o600
    assert host.directory.stat().st_mode & 0o777 == 0o711


@pytest.mark.parametrize("base_format", ["qcow2", "raw"])
def test_a_raw_volume_is_a_sparse_copy(host, base_format):
    (volume,) = host.provide(backend="raw", base_format=base_format).facts["volumes"]
    with open(volume["path"], "rb") as stream:
        assert stream.read(9) == b"VIRTFLEET"
    assert os.stat(volume["path"]).st_size == GIB
    assert os.stat(volume["path"]).st_blocks * 512 < 10 * MIB
    assert (volume["format"], host.names()) == ("raw", ["root.raw", "volumes.json"])


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_the_second_time_changes_nothing_and_opens_no_disk(host, backend, monkeypatch):
    first = host.provide(backend=backend)
    monkeypatch.setattr(_qemu_img.subprocess, "run", None)
    again = host.provide(backend=backend)
    assert not again.changed and again.facts == first.facts and not again.after


def test_a_size_of_zero_is_that_of_the_image(host):
    assert host.provide(size_gb=0).facts["volumes"][0]["size"] == 8 * MIB
    bigger = {"name": "tiny", "path": str(host.base), "format": "qcow2", "virtual_size": 9 * MIB}
    again = stage.provide({**host.instance(size_gb=0), "image": bigger}, host.state_dir, host.run_dir)
    assert not again.changed and again.facts["volumes"][0]["size"] == 8 * MIB


def test_volumes_beside_the_root_are_blank(host):
    volumes = [
        {"name": "root", "backend": "qcow2", "size_gb": 1, "boot_index": 0},
        {"name": "logs", "backend": "raw", "size_gb": 2, "boot_index": None},
        {"name": "scratch", "backend": "qcow2", "size_gb": 3},
    ]
    facts = stage.provide({**host.instance(), "volumes": volumes}, host.state_dir, host.run_dir).facts["volumes"]
    assert [(one["size"] // GIB, one["base"]) for one in facts] == [(1, str(host.base)), (2, ""), (3, "")]
    assert host.names() == ["logs.raw", "root.qcow2", "scratch.qcow2", "volumes.json"]


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_the_disk_of_a_stopped_guest_grows(host, backend):
    host.provide(backend=backend)
    outcome = host.provide(backend=backend, size_gb=2)
    (volume,) = outcome.facts["volumes"]
    assert outcome.changed and (outcome.before["root"]["size"], outcome.after["root"]["size"]) == (GIB, 2 * GIB)
    assert info(volume["path"], backend)["virtual-size"] == volume["size"] == 2 * GIB
    assert not host.provide(backend=backend, size_gb=2).changed


FLAVOR_DISKS = [
    {"name": "ephemeral0", "backend": "qcow2", "size_gb": 5, "guest_format": "ext4"},
    {"name": "swap", "backend": "qcow2", "size_gb": 0, "size_mb": 100, "guest_format": "swap"},
]


def flavor_disks(backend, **sizes):
    return [{**one, "backend": backend, **sizes.get(one["name"], {})} for one in FLAVOR_DISKS]


def plain(volume, directory):
    """Return a raw copy of a disk, for tools that read no qcow2."""
    copy = directory / f"{volume['name']}.copy"
    subprocess.run(["qemu-img", "convert", "-f", volume["format"], "-O", "raw", volume["path"], copy], check=True)
    return copy


def signature(disk):
    """Return what blkid finds on a disk: its type and its label."""
    told = subprocess.run(["/usr/sbin/blkid", "-p", "-o", "export", disk], check=True, capture_output=True, text=True)
    found = dict(line.split("=", 1) for line in told.stdout.splitlines())
    return found["TYPE"], found["LABEL"]


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_ephemeral_and_swap_disks_hold_what_the_guest_expects(host, tmp_path, backend):
    facts = host.provide(volumes=flavor_disks(backend)).facts["volumes"]
    assert [one["size"] for one in facts] == [5 * GIB, 100 * MIB]
    copies = [plain(one, tmp_path) for one in facts]
    assert [signature(one) for one in copies] == [("ext4", "ephemeral0"), ("swap", "swap")]
    assert subprocess.run(["/usr/sbin/e2fsck", "-fn", copies[0]], check=False, capture_output=True).returncode == 0
    assert sum(os.stat(one["path"]).st_blocks for one in facts) * 512 < 10 * MIB
    assert host.names() == [f"ephemeral0.{backend}", f"swap.{backend}", "volumes.json"]
    assert not host.provide(volumes=flavor_disks(backend)).changed
    assert host.withdraw(volumes=flavor_disks(backend)).changed and host.names() == []


def test_a_windows_guest_gets_a_file_system_it_knows(host, tmp_path):
    disks = [{"name": "ephemeral0", "backend": "raw", "size_gb": 1, "guest_format": "vfat"}]
    (volume,) = host.provide(volumes=disks).facts["volumes"]
    assert signature(plain(volume, tmp_path)) == ("vfat", "ephemeral0")


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_swap_is_made_anew_when_it_grows_and_an_ephemeral_disk_keeps_what_it_holds(host, tmp_path, backend):
    before = host.provide(volumes=flavor_disks(backend)).facts["volumes"]
    kept = plain(before[0], tmp_path).read_bytes()[:MIB]
    larger = {"ephemeral0": {"size_gb": 6}, "swap": {"size_mb": 200}}
    outcome = host.provide(volumes=flavor_disks(backend, **larger))
    copies = [plain(one, tmp_path) for one in outcome.facts["volumes"]]
    assert outcome.changed and [os.stat(one).st_size for one in copies] == [6 * GIB, 200 * MIB]
    assert copies[0].read_bytes()[:MIB] == kept
    told = subprocess.run(["/usr/sbin/swaplabel", copies[1]], check=True, capture_output=True, text=True)
    assert "LABEL: swap" in told.stdout
    assert int.from_bytes(copies[1].read_bytes()[1028:1032], "little") == 200 * MIB // 4096 - 1  # pages in its header
    assert not host.provide(volumes=flavor_disks(backend, **larger)).changed


@pytest.mark.parametrize("tool,reason", [("false", "it said nothing"), ("mkfs.none", "mkfs.none is not installed")])
@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_a_file_system_that_cannot_be_made_leaves_nothing(host, monkeypatch, backend, tool, reason):
    monkeypatch.setitem(guest_format.TOOLS, "ext4", (tool,))
    with pytest.raises(ItemError, match=f"failed to make ext4 on volume ephemeral0: {reason}"):
        host.provide(volumes=flavor_disks(backend))
    assert host.names() == []


# What a QEMU does with its disk: it locks bytes of it.
HOLD = """
import fcntl, struct, sys, time
stream = open(sys.argv[1], "rb")
fcntl.fcntl(stream, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 201, 1, 0))
print("held", flush=True)
time.sleep(60)
"""


def test_the_disk_of_a_running_guest_grows_at_its_next_boot(host):
    (volume,) = host.provide().facts["volumes"]
    with subprocess.Popen([sys.executable, "-c", HOLD, volume["path"]], stdout=subprocess.PIPE) as guest:
        guest.stdout.readline()
        outcome = host.provide(size_gb=2)
        guest.kill()
    (volume,) = outcome.facts["volumes"]
    assert not outcome.changed
    assert (volume["size"], volume["next_boot"]) == (GIB, "grows from 1 GiB to 2 GiB")
    assert host.provide(size_gb=2).changed


@pytest.mark.parametrize(
    "changes,reason",
    [
        ({"size_gb": 1}, "volume root has 2 GiB: 1 GiB would destroy data; keep the size"),
        ({"size_gb": 2, "backend": "raw"}, "volume root was made with backend qcow2: raw would destroy its data"),
        ({"size_gb": 2, "image": "debian"}, "volume root was made with image tiny: debian would destroy its data"),
    ],
)
def test_what_would_destroy_data_is_refused(host, changes, reason):
    host.provide(size_gb=2)
    said, fault = host.refusal(**changes)
    assert reason in said and fault == "request"


def test_a_newer_build_of_the_image_leaves_existing_disks_alone(host):
    host.provide()
    newer = {"name": "tiny", "path": "/newer.qcow2", "format": "qcow2", "virtual_size": 9 * GIB}
    outcome = stage.provide({**host.instance(), "image": newer}, host.state_dir, host.run_dir)
    assert not outcome.changed and outcome.facts["volumes"][0]["base"] == str(host.base)


def test_an_image_larger_than_the_volume_is_refused(host):
    image = {**host.instance()["image"], "virtual_size": 3 * GIB}
    said, fault = _refused(host, {**host.instance(size_gb=2), "image": image})
    assert "volume root is to have 2 GiB, but image tiny needs 3 GiB" in said and fault == "request"


def _refused(host, instance):
    with pytest.raises(ItemError) as raised:
        stage.provide(instance, host.state_dir, host.run_dir)
    assert host.names() == []
    return str(raised.value), raised.value.fault


def test_a_missing_base_is_told_and_leaves_nothing(host):
    host.base.unlink()
    said, fault = host.refusal()
    assert f"base {host.base} is missing" in said and fault == "host"
    assert not host.directory.exists()


def test_a_writable_base_is_not_used(host):
    host.base.chmod(0o644)
    assert "is writable" in host.refusal()[0]


def test_a_base_that_is_a_link_is_not_used(host):
    host.base.unlink()
    host.base.symlink_to("/etc/passwd")
    assert "is missing" in host.refusal()[0]


def test_a_raw_volume_needs_room_for_all_it_promises(host):
    said, fault = host.refusal(backend="raw", size_gb=2**40)
    assert "no space left in" in said and "need 1099511627776 GiB, have" in said and fault == "host"


def test_a_disk_that_fills_up_is_one_sentence(host, monkeypatch):
    def full(arguments, what, **more):
        pathlib.Path(arguments[-2]).write_bytes(b"half")
        raise ItemError(f"failed to {what}: {_qemu_img.NO_SPACE}")

    monkeypatch.setattr(qcow2, "run", full)
    said, fault = host.refusal()
    assert said.startswith("volume root: no space left in") and fault == "host"


@pytest.mark.parametrize(
    "volume,reason",
    [
        ({"name": "../root", "backend": "raw", "size_gb": 1}, "volume name '../root' must be"),
        ({"name": "", "backend": "raw", "size_gb": 1}, "volume name ''"),
        ({"name": "root", "backend": "floppy", "size_gb": 1}, "backend is 'floppy', but must be one of qcow2, raw"),
        ({"name": "root", "backend": "raw", "size_gb": 0}, "neither an image nor a size"),
    ],
)
def test_a_wrong_volume_is_named(host, volume, reason):
    assert reason in _refused(host, {**host.instance(), "volumes": [volume]})[0]


@pytest.mark.parametrize("wrong", ["", None, "../../etc", UUID.upper(), UUID.replace("-", "")])
def test_only_a_uuid_becomes_a_path(host, wrong):
    for step in (stage.provide, stage.withdraw):
        with pytest.raises(ItemError, match="is not a uuid"):
            step(host.instance(uuid=wrong), host.state_dir, host.run_dir)


def test_a_disk_that_is_gone_is_not_replaced_by_an_empty_one(host):
    (volume,) = host.provide().facts["volumes"]
    os.unlink(volume["path"])
    said, fault = host.refusal()
    assert "volume root is gone from" in said and fault == "request"


def test_a_disk_that_nobody_recorded_is_not_overwritten(host):
    host.provide()
    (host.directory / "volumes.json").unlink()
    assert "no run recorded it" in host.refusal()[0]


def test_a_link_in_place_of_the_disk_is_not_followed(host):
    (volume,) = host.provide().facts["volumes"]
    os.unlink(volume["path"])
    os.symlink("/etc/passwd", volume["path"])
    assert "is not a plain file" in host.refusal()[0]


@pytest.mark.parametrize("where", ["made", "_remember", "publish"])
@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_a_run_killed_at_any_step_is_completed_by_the_next(host, monkeypatch, where, backend):
    class Killed(BaseException):
        pass

    def kill(*arguments):
        raise Killed

    module = {"qcow2": qcow2, "raw": raw}[backend]
    owner = stage if where == "_remember" else module
    with monkeypatch.context() as patch:
        if where == "made":  # half of the disk is written
            patch.setattr(file, "sync", kill)
        else:
            patch.setattr(owner, where, kill)
        with pytest.raises(Killed):
            host.provide(backend=backend)
    assert not (host.directory / f"root.{backend}").exists()
    outcome = host.provide(backend=backend)
    assert outcome.changed and info(outcome.facts["volumes"][0]["path"], backend)["virtual-size"] == GIB
    assert host.names() == [f"root.{backend}", "volumes.json"]
    assert not host.provide(backend=backend).changed


def test_two_runs_at_once_make_one_disk(host):
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(host.provide())) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.changed for outcome in outcomes) == [False] * 7 + [True]


def test_removing_leaves_nothing_and_again_changes_nothing(host):
    host.provide()
    planned = stage.planned_removal(host.instance(), host.state_dir)
    outcome = host.withdraw()
    assert planned.changed and outcome.changed and list(outcome.before) == ["root"]
    assert not host.directory.exists() and not os.listdir(host.run_dir)
    assert not host.withdraw().changed and not stage.planned_removal(host.instance(), host.state_dir).changed


def test_removing_knows_the_recorded_volumes_even_if_the_request_does_not(host):
    host.provide()
    assert host.withdraw(volumes=[], image=None).changed
    assert not host.directory.exists()


@pytest.mark.parametrize("record", ["{", '{"volumes": [{"name": "root"}]}', "[]"])
def test_removing_works_with_a_broken_record_and_half_made_disks(host, record):
    host.provide()
    (host.directory / "volumes.json").write_text(record)
    (host.directory / "root.qcow2.new").write_bytes(b"half")
    assert host.withdraw().changed
    assert not host.directory.exists()


def test_removing_keeps_what_is_not_its_own(host, tmp_path):
    host.provide()
    elsewhere = tmp_path / "precious"
    elsewhere.write_text("precious")
    (host.directory / "console.log").write_text("hello")
    record = json.loads((host.directory / "volumes.json").read_text())
    record["volumes"][0]["path"] = str(elsewhere)
    (host.directory / "volumes.json").write_text(json.dumps(record))
    (host.directory / "root.qcow2").unlink()
    (host.directory / "root.qcow2").symlink_to(elsewhere)
    host.withdraw()
    assert elsewhere.read_text() == "precious" and host.base.exists()
    assert host.names() == ["console.log"]


def test_removing_does_not_follow_a_directory_that_is_a_link(host, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "root.qcow2").write_text("precious")
    host.directory.parent.mkdir(parents=True)
    host.directory.symlink_to(other)
    with pytest.raises(ItemError, match="is not a directory of ours"):
        host.withdraw()
    assert (other / "root.qcow2").read_text() == "precious"


def test_the_plan_touches_nothing(host):
    outcome = stage.planned(host.instance(), host.state_dir)
    assert outcome.changed and outcome.facts["volumes"][0]["path"].endswith("/root.qcow2")
    assert not host.directory.exists() and not os.path.exists(host.run_dir)
    not_cached = {"name": "tiny", "path": "/not/yet.qcow2", "format": "qcow2"}
    assert stage.planned({**host.instance(), "image": not_cached}, host.state_dir).changed


@pytest.mark.parametrize("names", [[], ["root.qcow2.new"], ["root.qcow2.new", "volumes.json.new"]])
def test_what_a_killed_run_left_goes_though_nobody_recorded_it(host, names):
    host.directory.mkdir(parents=True)
    for name in names:
        (host.directory / name).write_text("")
    planned = stage.planned_removal(host.instance(volumes=[]), host.state_dir)
    assert planned.changed and host.names() == names
    assert host.withdraw(volumes=[]).changed and not host.directory.exists()
    assert not host.withdraw(volumes=[]).changed


def test_what_is_not_ours_stays_in_the_directory(host):
    host.directory.mkdir(parents=True)
    (host.directory / "notes.txt").write_text("")
    assert not stage.planned_removal(host.instance(volumes=[]), host.state_dir).changed
    assert not host.withdraw(volumes=[]).changed and host.names() == ["notes.txt"]


VOLUME = str(uuid.uuid5(uuid.NAMESPACE_URL, "vfs-volume"))
ROOT = {"name": "root", "backend": "qcow2", "size_gb": 1, "boot_index": 0}


def data(**more):
    return {"name": "data", "id": VOLUME, "backend": "qcow2", "size_gb": 1, **more}


def volume_files(host):
    directory = pathlib.Path(host.state_dir, "volumes")
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def test_a_volume_outlives_its_instance_and_the_next_one_gets_what_is_in_it(host):
    made = host.provide(volumes=[ROOT, data()]).facts["volumes"][1]
    inode = os.stat(made["path"]).st_ino
    assert volume_files(host) == [f"{VOLUME}.json", f"{VOLUME}.qcow2"]
    assert host.withdraw(volumes=[ROOT, data()]).changed
    assert host.names() == [] and volume_files(host) == [f"{VOLUME}.json", f"{VOLUME}.qcow2"]
    other = {**host.instance(volumes=[ROOT, data(size_gb=2)]), "uuid": str(uuid.uuid4())}
    again = stage.provide(other, host.state_dir, host.run_dir)
    assert again.before["data"]["size"] == GIB and again.facts["volumes"][1]["size"] == 2 * GIB
    assert os.stat(made["path"]).st_ino == inode
    with pytest.raises(ItemError, match="volume data has 2 GiB: 1 GiB would destroy data"):
        host.provide(volumes=[ROOT, data()])


def test_a_volume_that_shall_goes_with_its_instance(host):
    volumes = [ROOT, data(delete_on_termination=True)]
    host.provide(volumes=volumes)
    assert host.withdraw(volumes=volumes).changed and volume_files(host) == []
    assert not host.withdraw(volumes=volumes).changed


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_a_volume_of_a_shared_directory_is_found_by_another_host(host, tmp_path, backend):
    shared = tmp_path / "nfs"
    volumes = [data(backend=backend, pool={"directory": str(shared), "shared": True})]
    with pytest.raises(ItemError, match=f"volume data: directory {shared} is not on this host: mount or make it"):
        host.provide(volumes=volumes)
    shared.mkdir()
    assert host.provide(volumes=volumes).changed
    outcome = stage.provide(host.instance(volumes=volumes), str(tmp_path / "other"), str(tmp_path / "run2"))
    assert not outcome.changed and outcome.facts["volumes"][0]["path"] == str(shared / f"{VOLUME}.{backend}")


def test_a_volume_alone_is_made_extended_and_deleted_unless_a_guest_has_it(host):
    ways = (host.state_dir, host.run_dir)
    assert alone.planned(data(), host.state_dir).changed and volume_files(host) == []
    assert alone.provide(data(), *ways).changed and not alone.provide(data(), *ways).changed
    grown = alone.provide(data(size_gb=3), *ways)
    assert grown.changed and grown.facts["size"] == 3 * GIB
    path = grown.facts["path"]
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as guest:
        guest.stdout.readline()
        for refused in (alone.planned_removal, lambda item, state: alone.withdraw(item, *ways)):
            with pytest.raises(ItemError, match="volume data is in use by a guest: detach it first"):
                refused(data(), host.state_dir)
        guest.kill()
    assert alone.planned_removal(data(), host.state_dir).changed and os.path.exists(path)
    assert alone.withdraw(data(), *ways).changed and not alone.withdraw(data(), *ways).changed
    assert volume_files(host) == [] and not os.path.isdir(os.path.join(host.state_dir, "instances", VOLUME))


def test_a_new_volume_goes_with_a_first_boot_that_failed_unless_the_guest_was_started(host):
    made = {"volumes": host.provide(volumes=[ROOT, data()]).facts["volumes"]}
    host.withdraw(**made, domain_id=7)
    assert volume_files(host) == [f"{VOLUME}.json", f"{VOLUME}.qcow2"]
    there = host.provide(volumes=made["volumes"]).facts["volumes"]
    host.withdraw(volumes=there)  # it was there before this run
    assert volume_files(host) == [f"{VOLUME}.json", f"{VOLUME}.qcow2"]
    host.withdraw(**made)
    assert volume_files(host) == []


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_a_volume_from_an_image_is_a_whole_copy_that_needs_no_cache(host, backend):
    image = {"name": "tiny", "path": str(host.base), "format": "qcow2", "virtual_size": 8 * MIB}
    volumes = [ROOT, data(backend=backend, source_image="tiny", image=image)]
    made = host.provide(volumes=volumes).facts["volumes"][1]
    assert "backing-filename" not in info(made["path"], backend) and made["size"] == GIB
    subprocess.run(["qemu-io", "-f", backend, "-c", "read -P 0x56 0 1", made["path"]], check=True, capture_output=True)
    assert not host.provide(volumes=volumes).changed
    # One that is there needs the image no more: extended alone, or attached to the next guest.
    grown = alone.provide(data(backend=backend, source_image="tiny", size_gb=2), host.state_dir, host.run_dir)
    assert grown.changed and grown.facts["size"] == 2 * GIB
    with pytest.raises(ItemError, match="was made with image tiny: other would destroy"):
        host.provide(volumes=[ROOT, data(backend=backend, source_image="other", size_gb=2)])
    small = [ROOT, data(backend=backend, id=str(uuid.uuid4()), image={**image, "virtual_size": 2 * GIB})]
    with pytest.raises(ItemError, match="needs 2 GiB: take a larger size"):
        host.provide(volumes=small)


CONVERT = """
import json, sys
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import stage
stage.provide(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3])
"""
HALF = '#!/bin/sh\nfor target; do :; done\nhead -c 1048576 /dev/urandom > "$target"\necho half\nexec sleep 1000\n'


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_a_host_that_dies_while_it_converts_uses_nothing_of_it_and_the_next_run_repairs(host, tmp_path, backend):
    slow = tmp_path / "bin" / "qemu-img"
    slow.parent.mkdir()
    slow.write_text(HALF)
    slow.chmod(0o755)
    image = {"name": "tiny", "path": str(host.base), "format": "qcow2", "virtual_size": 8 * MIB}
    one = host.instance(volumes=[data(backend=backend, source_image="tiny", image=image)])
    paths = {"PATH": f"{slow.parent}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CONVERT, json.dumps(one), host.state_dir, host.run_dir]
    process = subprocess.Popen(command, env={**os.environ, **paths}, start_new_session=True)
    half = pathlib.Path(host.state_dir, "volumes", f"{VOLUME}.{backend}.new")
    end = time.monotonic() + 30
    while not (half.exists() and half.stat().st_size >= MIB):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert volume_files(host) == [half.name]
    (made,) = stage.provide(one, host.state_dir, host.run_dir).facts["volumes"]
    subprocess.run(["qemu-io", "-f", backend, "-c", "read -P 0x56 0 1", made["path"]], check=True, capture_output=True)
    assert volume_files(host) == [f"{VOLUME}.json", f"{VOLUME}.{backend}"]
