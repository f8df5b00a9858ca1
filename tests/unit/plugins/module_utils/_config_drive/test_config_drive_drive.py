# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._config_drive import drive, iso, vfat
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

needs_isoinfo = pytest.mark.skipif(shutil.which("isoinfo") is None, reason="isoinfo of genisoimage is not installed")

needs_mtools = pytest.mark.skipif(shutil.which("mcopy") is None, reason="mcopy of mtools is not installed")


@pytest.fixture
def provide(tmp_path):
    def call(instance, secrets=None, bus="virtio"):
        return drive.provide(instance, secrets or {}, str(tmp_path / "state"), str(tmp_path / "run"), bus)

    return call


def read_back(path):
    """Return the label and path -> content, as another program than the one that wrote it sees them."""
    told = subprocess.run(["isoinfo", "-d", "-i", path], check=True, capture_output=True, text=True).stdout
    label = next(line.split(": ")[1] for line in told.splitlines() if line.startswith("Volume id"))
    listed = subprocess.run(["isoinfo", "-R", "-f", "-i", path], check=True, capture_output=True, text=True).stdout
    contents = {}
    for name in listed.splitlines():
        shown = subprocess.run(["isoinfo", "-R", "-i", path, "-x", name], check=True, capture_output=True)
        contents[name.lstrip("/")] = shown.stdout
    return label, contents


@needs_isoinfo
def test_an_iso_reads_back_as_written():
    files = {"meta-data": b"{}", "user-data": b"", "a/b/deep file.json": bytes(range(256)) * 300, "a/x": b"x"}
    path = pathlib.Path(os.environ.get("TMPDIR", "/tmp"), f"vfs-{os.getpid()}.iso")
    path.write_bytes(iso.build("cidata", files))
    label, contents = read_back(str(path))
    path.unlink()
    assert label == "cidata"
    assert {name: content for name, content in contents.items() if name in files} == files


@needs_mtools
@pytest.mark.parametrize("size", [0, 3 * 2**20])
def test_a_vfat_reads_back_as_written(tmp_path, size):
    files = {"meta-data": b"{}", "user-data": b"", "a/b/deep file.json": bytes(range(256)) * 300, "a/x": bytes(size)}
    path = tmp_path / "drive"
    path.write_bytes(vfat.build("config-2", files))
    for name, content in files.items():
        shown = subprocess.run(["mtype", "-i", path, f"::/{name}"], check=True, capture_output=True)
        assert shown.stdout == content
    assert "CONFIG-2" in subprocess.run(["mlabel", "-s", "-i", path], check=True, capture_output=True, text=True).stdout
    listed = subprocess.run(["mdir", "-/", "-b", "-i", path], check=True, capture_output=True, text=True).stdout
    assert "::/meta-data\n" in listed and "::/a/b/deep file.json\n" in listed


@needs_mtools
def test_a_vfat_drive_is_another_drive_than_an_iso(provide, instance, secrets):
    path = provide(instance, secrets).facts["config_drive_path"]
    as_vfat = {**instance, "config_drive_format": "vfat"}
    assert provide(as_vfat, secrets).changed and not provide(as_vfat, secrets).changed
    assert pathlib.Path(path).read_bytes()[510:512] == b"\x55\xaa" and os.stat(path).st_mode & 0o777 == 0o600


def test_missing_mtools_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ItemError, match="mtools is not installed on this host: role compute_host"):
        vfat.build("cidata", {})


@needs_isoinfo
@pytest.mark.parametrize("kind,label", [("nocloud", "cidata"), ("openstack", "config-2")])
def test_the_drive_holds_the_documents_for_root_alone(provide, instance, secrets, kind, label):
    outcome = provide({**instance, "config_drive": kind}, secrets)
    path = outcome.facts["config_drive_path"]
    found, contents = read_back(path)
    assert outcome.changed and outcome.facts["config_drive_bus"] == "virtio"
    assert found == label and set(outcome.after["files"]) <= set(contents)
    assert all(b"hunter2" in content for name, content in contents.items() if name.startswith("user"))
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert sorted(os.listdir(os.path.dirname(path))) == ["config.iso", "config.json"]
    assert os.stat(path.replace(".iso", ".json")).st_mode & 0o777 == 0o600


def test_nothing_that_is_told_or_recorded_shows_a_secret(provide, instance, secrets):
    outcome = provide(instance, secrets)
    recorded = pathlib.Path(outcome.facts["config_drive_path"]).with_suffix(".json").read_text()
    for secret in ("hunter2", secrets["user_data"], "$6$salt"):
        assert secret not in repr(outcome) + recorded


def test_the_second_time_changes_nothing(provide, instance, secrets):
    first = provide(instance, secrets)
    again = provide(instance, secrets)
    assert not again.changed and again.facts == first.facts and not again.after


@pytest.mark.parametrize(
    "change",
    [{"hostname": "web-2"}, {"keys": []}, {"metadata": {}}, {"ports": []}, {"config_drive": "openstack"}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_request_makes_the_drive_anew(provide, instance, secrets, change):
    provide(instance, secrets)
    assert provide({**instance, **change}, secrets).changed
    assert provide({**instance, **change}, {**secrets, "user_data": ""}).changed


@pytest.mark.parametrize("alter", ["cut", "touch", "chmod", "link", "unlink", "record"])
def test_an_altered_drive_is_made_anew(provide, instance, secrets, alter):
    path = provide(instance, secrets).facts["config_drive_path"]
    {
        "cut": lambda: os.truncate(path, 100),
        "touch": lambda: os.utime(path, (1, 1)),
        "chmod": lambda: os.chmod(path, 0o644),
        "link": lambda: (os.unlink(path), os.symlink("/etc/passwd", path)),
        "unlink": lambda: os.unlink(path),
        "record": lambda: os.unlink(path.replace(".iso", ".json")),
    }[alter]()
    assert provide(instance, secrets).changed
    assert not provide(instance, secrets).changed
    assert pathlib.Path("/etc/passwd").read_bytes()[:4] == b"root"


def test_who_wants_none_gets_none(provide, instance, tmp_path):
    outcome = provide({**instance, "config_drive": "none"})
    assert not outcome.changed and not outcome.facts and not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "properties,asked,bus",
    [
        ({"hw_cdrom_bus": "scsi"}, "virtio", "scsi"),
        ({"hw_disk_bus": "scsi"}, "virtio", "virtio"),
        ({}, "auto", "virtio"),
        ({"hw_disk_bus": "scsi"}, "auto", "scsi"),
        ({"hw_disk_bus": "sata"}, "auto", "ide"),
        ({"hw_disk_bus": "usb", "hw_machine_type": "q35"}, "auto", "sata"),
    ],
)
def test_the_image_chooses_the_bus_then_the_operator_then_its_disk(provide, instance, properties, asked, bus):
    instance["image"]["properties"] = properties
    assert provide(instance, bus=asked).facts["config_drive_bus"] == bus


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"config_drive": "floppy"}, "config_drive is 'floppy', but must be one of none, nocloud, openstack"),
        ({"config_drive_format": "ext4"}, "config_drive_format is 'ext4', but must be one of iso9660, vfat"),
        ({"image": {"properties": {"hw_cdrom_bus": "fdc"}}}, "hw_cdrom_bus is 'fdc'"),
        ({"uuid": "../x"}, "is not a uuid"),
    ],
)
def test_wrong_requests_are_refused(provide, instance, change, reason):
    with pytest.raises(ItemError, match=reason) as raised:
        provide({**instance, **change})
    assert raised.value.fault == "request"


def test_a_missing_library_names_the_package(provide, instance, monkeypatch):
    monkeypatch.setattr(iso, "pycdlib", None)
    with pytest.raises(ItemError, match="python3-pycdlib is not installed on this host: role compute_host"):
        provide(instance)


def test_the_plan_touches_nothing(instance, secrets, tmp_path):
    outcome = drive.look(instance, secrets, str(tmp_path / "state"), "virtio")
    assert outcome.changed and outcome.facts["config_drive_path"].endswith("/config.iso")
    assert not list(tmp_path.iterdir())


def test_removing_leaves_nothing_and_again_changes_nothing(provide, instance, tmp_path):
    path = provide(instance).facts["config_drive_path"]
    pathlib.Path(path + ".new").write_bytes(b"half")
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    assert drive.look_removed(instance, state).changed
    assert drive.withdraw(instance, state, run).changed
    assert not os.path.exists(os.path.dirname(path)) and not os.listdir(run)
    assert not drive.withdraw(instance, state, run).changed and not drive.look_removed(instance, state).changed


def test_removing_keeps_the_disks(provide, instance, tmp_path):
    path = pathlib.Path(provide(instance).facts["config_drive_path"])
    (path.parent / "root.qcow2").write_text("precious")
    drive.withdraw(instance, str(tmp_path / "state"), str(tmp_path / "run"))
    assert os.listdir(path.parent) == ["root.qcow2"]
