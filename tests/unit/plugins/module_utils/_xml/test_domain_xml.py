# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domain document: golden files, libvirt's own schema, image properties and what is refused."""

from __future__ import annotations

import os
import pathlib

import pytest
from lxml import etree

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.read import found_shape, wanted_shape
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.tree import parse
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import NASTY, port, record

GOLDEN = pathlib.Path(__file__).with_name("golden")
SCHEMA = pathlib.Path("/usr/share/libvirt/schemas/domain.rng")
KVM, TCG = Guest("kvm", "/state"), Guest("qemu", "/state", cache="writeback", tb_cache_mb=64)
VOLUMES = [
    {"name": "data", "backend": "raw", "size_gb": 1},
    {"name": "root", "backend": "qcow2", "size_gb": 3, "boot_index": 0, "path": "/pool/root.qcow2", "format": "qcow2"},
]
FLAVOR_DISKS = [
    {"name": "root", "backend": "raw", "size_gb": 3, "boot_index": 0},
    {"name": "ephemeral0", "backend": "raw", "size_gb": 5, "guest_format": "ext4"},
    {"name": "swap", "backend": "raw", "size_gb": 0, "size_mb": 512, "guest_format": "swap"},
]
CLUSTER = {"pool": "vms", "user": "libvirt", "conf": "/etc/ceph/ceph.conf"}
DATA_VOLUMES = [
    {
        "name": "boot",
        "backend": "rbd",
        "size_gb": 3,
        "boot_index": 0,
        "path": "vms/1",
        "format": "raw",
        "pool": CLUSTER,
    },
    {
        "name": "data",
        "backend": "raw",
        "size_gb": 5,
        "id": "5f0c1a2b-0000-5000-8000-000000000001",
        "path": "/srv/nfs/data.raw",
        "format": "raw",
        "pool": {"directory": "/srv/nfs", "shared": True},
        "cache": "writethrough",
        "discard": "ignore",
        "qos": {"total_iops_sec": 100},
    },
    {
        "name": "monitors",
        "backend": "rbd",
        "id": "5f0c1a2b-0000-5000-8000-000000000002",
        "path": "vms/2",
        "format": "raw",
        "pool": CLUSTER,
        "hosts": [["192.0.2.1", 3300]],
        "disk_bus": "scsi",
    },
    {
        "name": "logical",
        "backend": "lvm",
        "id": "5f0c1a2b-0000-5000-8000-000000000005",
        "path": "/dev/vg0/5f0c1a2b-0000-5000-8000-000000000005",
        "format": "raw",
        "pool": {"volume_group": "vg0"},
    },
    {
        "name": "export",
        "backend": "nbd",
        "id": "5f0c1a2b-0000-5000-8000-000000000006",
        "path": "scratch",
        "format": "raw",
        "pool": {"server": "[2001:db8::6]:10899", "location": "scratch"},
    },
    {
        "name": "san",
        "backend": "iscsi",
        "id": "5f0c1a2b-0000-5000-8000-000000000007",
        "path": "iqn.2026-01.org.example:disks/1",
        "format": "raw",
        "pool": {"server": "192.0.2.5", "target": "iqn.2026-01.org.example:disks", "chap_user": "virtfleet"},
        "key": "san",
    },
    {
        "name": "safe",
        "backend": "qcow2",
        "id": "5f0c1a2b-0000-5000-8000-000000000004",
        "path": "/state/volumes/safe.qcow2",
        "format": "qcow2",
        "encryption": "luks",
        "key": "safe",
    },
    {"name": "tools", "backend": "raw", "id": "5f0c1a2b-0000-5000-8000-000000000003", "device_type": "cdrom"},
]
QOS = {"quota:disk_read_bytes_sec": "1048576", "quota:disk_write_iops_sec": "50"}
CASES = {
    "volumes": (record(volumes=DATA_VOLUMES, flavor={"extra_specs": QOS}), KVM),
    "flavor_disks": (record(volumes=FLAVOR_DISKS), KVM),
    "plain": (record(), KVM),
    "emulated": (record(), TCG),
    "bare": (record(ports=[], volumes=[], config_drive="none"), KVM),
    "rich": (record(NASTY, metadata={"who": NASTY}, ports=[port(), port(1)], volumes=VOLUMES, tags=[NASTY]), KVM),
    "old": (
        record(
            image={
                "properties": {
                    "hw_disk_bus": "sata",
                    "hw_vif_model": "e1000",
                    "hw_video_model": "vga",
                    "hw_qemu_guest_agent": "no",
                    "hw_pointer_model": "ps2mouse",
                    "os_type": "windows",
                    "hw_machine_type": "q35",
                }
            }
        ),
        KVM,
    ),
    "queues": (
        record(image={"properties": {"hw_vif_multiqueue_enabled": "true"}}, flavor={"vcpus": 4}, volumes=VOLUMES),
        KVM,
    ),
    "scsi": (record(image={"properties": {"hw_disk_bus": "scsi", "hw_cdrom_bus": "sata"}}, volumes=VOLUMES), KVM),
}


def document(name):
    item, guest = CASES[name]
    return domain_xml(Instance.from_record(item), guest)


@pytest.fixture(scope="module")
def schema():
    if not SCHEMA.exists():
        pytest.skip("libvirt's schemas are not installed here (package libvirt-daemon or libvirt0)")
    return etree.RelaxNG(etree.parse(str(SCHEMA)))


@pytest.mark.parametrize("name", CASES)
def test_document_is_as_written_down(name):
    """Set VIRTFLEET_GOLDEN=write to write the files anew, and read the difference."""
    file = GOLDEN / f"{name}.xml"
    if os.environ.get("VIRTFLEET_GOLDEN") == "write":
        file.write_text(document(name))
    assert document(name) == file.read_text()


@pytest.mark.parametrize("name", CASES)
def test_document_is_valid_for_libvirt(name, schema):
    schema.assertValid(etree.fromstring(document(name)))


def test_the_schema_refuses_what_is_wrong(schema):
    assert not schema.validate(etree.fromstring(document("plain").replace('bus="virtio"', 'bus="carrier pigeon"')))


@pytest.mark.parametrize("name", CASES)
def test_the_shape_of_the_document_is_the_shape_that_is_compared(name):
    item, guest = CASES[name]
    wanted = wanted_shape(Instance.from_record(item), guest.state_dir)
    assert found_shape(parse(document(name))) == wanted


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"image": {"properties": {"hw_disk_bus": "floppy"}}}, "image debian-12 has hw_disk_bus='floppy'"),
        ({"image": {"properties": {"hw_vif_model": "token ring"}}}, "image debian-12 has hw_vif_model='token ring'"),
        (
            {"image": {"properties": {"hw_qemu_guest_agent": "maybe"}}},
            "image debian-12 has hw_qemu_guest_agent='maybe'",
        ),
        (
            {"image": {"properties": {"hw_cdrom_bus": "moon"}}},
            "hw_cdrom_bus is 'moon', but must be one of virtio, scsi, sata, ide, usb",
        ),
        (
            {"flavor": {"extra_specs": {"quota:disk_total_iops_sec": "fast"}}},
            "flavor m1.small has quota:disk_total_iops",
        ),
        ({"name": "bell\x07"}, "<name> cannot hold 'bell\\x07'"),
        ({"domain": "half \ud83d"}, "<name> cannot hold"),
        ({"flavor": {"name": "nul\0"}}, "<flavor> cannot hold"),
        ({"volumes": [{"name": f"v{index}", "backend": "raw"} for index in range(27)]}, "a guest has at most 26 disks"),
    ],
)
def test_what_a_document_cannot_say_is_the_fault_of_the_request(changes, words):
    with pytest.raises(ItemError) as caught:
        domain_xml(Instance.from_record({**record(**changes), "uuid": record()["uuid"]}), KVM)
    assert str(caught.value).startswith(words)
    assert caught.value.fault == "request"


def test_an_unknown_virt_type_is_refused():
    with pytest.raises(ItemError, match="virt_type is 'xen': it must be kvm or qemu"):
        domain_xml(Instance.from_record(record()), Guest("xen"))
