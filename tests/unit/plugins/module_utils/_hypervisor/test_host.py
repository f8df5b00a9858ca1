# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host record, over libvirt's test driver."""

from __future__ import annotations

import json
import struct
from collections import Counter

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import host, promises
from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor.connection import connect
from ansible_collections.virtfleet.compute.plugins.module_utils._model.host import down
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import host_uri, record

libvirt = pytest.importorskip("libvirt")

FOREIGN = """<domain type='test'><name>stranger</name><memory unit='GiB'>2</memory><vcpu>3</vcpu>
<os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{raw}'/><target dev='vda'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{qcow2}'/><target dev='vdb'/></disk>
<disk type='file' device='cdrom'><source file='{raw}'/><target dev='hda'/><readonly/></disk>
</devices></domain>"""


def ours(index=0):
    instance = Instance.from_record(record(f"web-{index}"))
    text = domain_xml(instance, Guest("qemu", "/state")).replace('<domain type="qemu">', '<domain type="test">')
    return text.replace('arch="x86_64" machine="pc"', "")


@pytest.fixture
def connection(tmp_path):
    with connect(host_uri(tmp_path)) as one:
        yield one


def test_promises_count_every_domain_ours_or_not(connection, tmp_path):
    raw, qcow2 = tmp_path / "raw", tmp_path / "qcow2"
    with open(raw, "wb") as file:
        file.truncate(5 * 2**30)
    qcow2.write_bytes(struct.pack(promises.QCOW2_HEADER, b"QFI\xfb", 3, 0, 0, 16, 7 * 2**30))
    connection.defineXML(FOREIGN.format(raw=raw, qcow2=qcow2))
    connection.defineXML(ours()).create()
    told = host.record(connection, "kvm1", "qemu", str(tmp_path))
    assert (told["vcpus"], told["vcpus_used"]) == (16, 5)
    assert (told["memory_mb"], told["memory_mb_used"]) == (32768, 2048 + 256)
    assert told["disk_gb_used"] == 12 + 4
    assert told["num_instances"] == 2 and told["up"] and told["enabled"]
    assert told["disk_available_least"] <= told["disk_gb"]
    by_name = {one["name"]: one for one in told["instances"]}
    assert (by_name["stranger"]["ours"], by_name["stranger"]["record"]) == (False, None)
    mine = by_name["web-0"]
    assert (mine["state"], mine["spec_digest"], mine["project_id"], mine["disk_gb"]) == ("running", "1", "default", 4)
    assert Instance.from_record(mine["record"]) == Instance.from_record(record("web-0"))


def test_a_record_is_small_and_plain(connection, tmp_path):
    for index in range(5):
        connection.defineXML(ours(index))
    told = json.dumps(host.record(connection, "kvm1", "qemu", str(tmp_path)))
    assert len(told) < 20_000


class Counted:
    """What libvirt's Python module calls below itself, and how often."""

    def __init__(self, below):
        self.below, self.calls = below, Counter()

    def __getattr__(self, name):
        self.calls[name] += 1
        return getattr(self.below, name)


def test_a_domain_more_is_one_call_to_libvirt_more(connection, tmp_path, monkeypatch):
    def calls(until):
        for index in range(until):
            connection.defineXML(ours(index))
        counted = Counted(libvirt.libvirtmod)
        with monkeypatch.context() as patch:
            patch.setattr(libvirt, "libvirtmod", counted)
            assert host.record(connection, "kvm1", "qemu", str(tmp_path))["num_instances"] == until
        return counted.calls

    few, many = calls(5), calls(60)
    more = {name: count - few[name] for name, count in many.items() if count != few[name]}
    # What libvirt answers from the object it has handed out is no call to the daemon.
    local = {"virDomainGetName", "virDomainGetUUIDString", "virDomainFree"}
    assert {name: count for name, count in more.items() if name not in local} == {"virDomainGetXMLDesc": 55}


def test_a_host_that_is_down_has_every_key(connection, tmp_path):
    up = host.record(connection, "kvm1", "qemu", str(tmp_path))
    silent = down("kvm1", "qemu", "libvirtd does not answer")
    assert set(up) == set(silent)
    assert not silent["up"] and silent["disabled_reason"] == "libvirtd does not answer"
    assert {key: type(value) for key, value in up.items()} == {key: type(value) for key, value in silent.items()}


def test_the_image_cache_shows_what_is_finished(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in (
        "abc.qcow2",
        "abc.json",
        "abc.part",
        "abc.part.json",
        "abc.part.plain",
        "abc.json.new",
        ".hidden",
        "a.lock",
    ):
        (images / name).write_text("")
    assert host.cached_images(str(tmp_path)) == ["abc.json", "abc.qcow2"]
    assert host.cached_images(str(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("content", [b"", b"short", b"not a qcow2 image, but long enough to have a header in it"])
def test_a_disk_that_is_not_what_it_says_counts_nothing(tmp_path, content):
    file = tmp_path / "disk"
    file.write_bytes(content)
    assert promises.virtual_size(str(file), "qcow2") == 0
    assert promises.virtual_size(str(tmp_path / "missing"), "raw") == 0


def test_a_given_cache_mode_is_taken_and_auto_is_one_of_novas(tmp_path):
    assert host.cache_mode("unsafe", "/nowhere") == "unsafe"
    assert host.cache_mode("auto", str(tmp_path / "not" / "yet")) in ("none", "writeback")


def test_volumes_in_files_and_in_volume_groups_keep_their_guests_here(tmp_path):
    (tmp_path / "volumes").mkdir()
    devices = tmp_path / "dev" / "vg0"
    devices.mkdir(parents=True)
    first, second = "5f0c1a2b-0000-5000-8000-000000000001", "5f0c1a2b-0000-5000-8000-000000000002"
    for path in (tmp_path / "volumes" / f"{first}.json", tmp_path / "volumes" / f"{first}.qcow2"):
        path.touch()
    for name in (second, f"{second}_root", f"{second}.new", "a-b-c-d-e", "swap"):
        (devices / name).touch()
    assert host.kept_volumes(str(tmp_path), str(tmp_path / "dev")) == [first, second]
    assert host.kept_volumes(str(tmp_path / "nowhere"), str(tmp_path / "nowhere")) == []


def test_the_bridges_of_the_host_are_told_with_their_mtu(tmp_path):
    for name, mtu in (("br0", "9000\n"), ("eth0", "1500\n"), ("gone", None)):
        (tmp_path / name).mkdir()
        if name != "eth0":
            (tmp_path / name / "bridge").mkdir()
        if mtu:
            (tmp_path / name / "mtu").write_text(mtu)
    assert host.bridges(str(tmp_path)) == {"br0": 9000}
