# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._config_drive import documents, network, seed
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError


def made(instance, secrets, kind):
    """Return path -> document, the JSON ones parsed."""
    files = documents.KINDS[kind][1](seed.read(instance, secrets))
    return {
        path: json.loads(content) if content.startswith(b"{") else content.decode() for path, content in files.items()
    }


def test_nocloud_metadata(instance, secrets):
    assert made(instance, secrets, "nocloud")["meta-data"] == {
        "instance-id": instance["uuid"],
        "local-hostname": "web-1",
        "hostname": "web-1",
        "name": "Wäb <&\"'> 🦊",
        "project_id": "default",
        "availability_zone": "",
        "public-keys": ["ssh-ed25519 AAAA ops"],
        "meta": {"rôle": "wéb"},
    }


def test_disks_with_a_tag_are_named_as_nova_names_them(instance, secrets):
    identity = "5f0c1a2b-0000-5000-8000-000000000001"
    volumes = [
        {"name": "root"},
        {"name": "data", "id": identity, "tag": "db"},
        {"name": "ephemeral0", "tag": "scratch", "disk_bus": "scsi"},
    ]
    told = made({**instance, "volumes": volumes}, secrets, "openstack")["openstack/latest/meta_data.json"]["devices"]
    assert told == [
        {"type": "disk", "bus": "pci", "serial": identity, "tags": ["db"]},
        {"type": "disk", "bus": "scsi", "tags": ["scratch"]},
    ]


def test_nocloud_network(instance, secrets):
    assert made(instance, secrets, "nocloud")["network-config"] == {
        "version": 2,
        "ethernets": {
            "eth0": {
                "match": {"macaddress": "52:54:00:00:00:01"},
                "set-name": "eth0",
                "mtu": 1450,
                "addresses": ["192.0.2.31/24", "2001:db8::31/64"],
                "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1"}],
                "gateway6": "2001:db8::1",
                "nameservers": {"addresses": ["192.0.2.1", "192.0.2.2", "2001:db8::1"]},
            },
            "eth1": {
                "match": {"macaddress": "52:54:00:00:00:02"},
                "set-name": "eth1",
                "mtu": 9000,
                "addresses": ["198.51.100.7/25"],
                "nameservers": {"addresses": ["192.0.2.1"]},
            },
            "eth2": {"match": {"macaddress": "52:54:00:00:00:03"}, "set-name": "eth2", "dhcp4": True},
        },
    }


def test_nocloud_user_data_password_and_files(instance, secrets):
    found = made(instance, secrets, "nocloud")
    assert found["user-data"] == "#!/bin/sh\ntouch /root/hunter2\n"
    kind, _newline, vendor = found["vendor-data"].partition("\n")
    assert kind == "#cloud-config"
    assert json.loads(vendor) == {
        "password": "$6$salt$hash",
        "chpasswd": {"expire": False},
        "write_files": [
            {"path": "/etc/motd", "encoding": "b64", "permissions": "0600", "content": secrets["files"]["/etc/motd"]}
        ],
    }


def test_nocloud_without_secrets_still_has_the_files_that_make_it_one(instance):
    found = made(instance, {}, "nocloud")
    assert sorted(found) == ["meta-data", "network-config", "user-data"] and found["user-data"] == ""


def test_openstack_metadata(instance, secrets):
    found = made(instance, secrets, "openstack")
    assert sorted(found) == [
        "ec2/latest/meta-data.json",
        "ec2/latest/user-data",
        "openstack/content/0000",
        "openstack/latest/meta_data.json",
        "openstack/latest/network_data.json",
        "openstack/latest/user_data",
        "openstack/latest/vendor_data.json",
    ]
    meta = found["openstack/latest/meta_data.json"]
    assert (meta["uuid"], meta["hostname"], meta["name"]) == (instance["uuid"], "web-1", "Wäb <&\"'> 🦊")
    assert meta["public_keys"] == {"ops": "ssh-ed25519 AAAA ops"}
    assert meta["keys"] == [{"name": "ops", "type": "ssh", "data": "ssh-ed25519 AAAA ops"}]
    assert meta["files"] == [{"path": "/etc/motd", "content_path": "/content/0000"}]
    assert meta["meta"] == {"rôle": "wéb"} and "admin_pass" not in meta
    assert found["openstack/content/0000"] == "grüße\n"
    assert "$6$salt$hash" in found["openstack/latest/vendor_data.json"]["cloud-init"][0]


def test_ec2_metadata(instance, secrets):
    found = made({**instance, "launch_index": 2, "flavor": {"name": "m1.small"}}, secrets, "openstack")
    assert found["openstack/latest/meta_data.json"]["launch_index"] == 2
    assert found["ec2/latest/user-data"] == found["openstack/latest/user_data"]
    assert found["ec2/latest/meta-data.json"] == {
        "ami-launch-index": 2,
        "hostname": "web-1",
        "instance-id": f"i-{instance['uuid'][:8]}",
        "instance-type": "m1.small",
        "local-hostname": "web-1",
        "local-ipv4": "192.0.2.31",
        "placement": {"availability-zone": ""},
        "public-keys": {"0": {"openssh-key": "ssh-ed25519 AAAA ops"}},
    }


def test_vendor_data_comes_before_ours_and_so_loses_to_it(instance, secrets):
    vendor = "#!/bin/sh\necho vendor\n"
    found = made(instance, {**secrets, "vendor_data": vendor}, "nocloud")["vendor-data"]
    kind, _newline, archive = found.partition("\n")
    assert kind == "#cloud-config-archive"
    assert [one["content"].split("\n")[0] for one in json.loads(archive)] == ["#!/bin/sh", "#cloud-config"]
    parts = made(instance, {**secrets, "vendor_data": vendor}, "openstack")["openstack/latest/vendor_data.json"]
    assert parts["cloud-init"][0] == vendor and "write_files" not in parts["cloud-init"][1]
    assert made(instance, {"vendor_data": vendor}, "nocloud")["vendor-data"] == vendor


def test_routes_of_a_subnet_are_those_of_the_guests_with_an_address_in_it(instance):
    first = instance["ports"][0]
    first["subnets"] = [
        {"cidr": "192.0.2.0/24", "routes": [{"to": "10.8.0.0/16", "via": "192.0.2.254"}]},
        {"cidr": "2001:db8::/64", "routes": [{"to": "fd00:8::/48", "via": "2001:db8::fe"}]},
        {"cidr": "203.0.113.0/24", "routes": [{"to": "10.9.0.0/16", "via": "203.0.113.1"}]},
    ]
    ethernets = network.version_2(tuple(instance["ports"]))["ethernets"]
    assert ethernets["eth0"]["routes"] == [
        {"to": "0.0.0.0/0", "via": "192.0.2.1"},
        {"to": "10.8.0.0/16", "via": "192.0.2.254"},
        {"to": "fd00:8::/48", "via": "2001:db8::fe"},
    ]
    assert "routes" not in ethernets["eth1"]
    networks = network.network_data(tuple(instance["ports"]))["networks"]
    assert networks[0]["routes"][1] == {"network": "10.8.0.0", "netmask": "255.255.0.0", "gateway": "192.0.2.254"}
    assert networks[1]["routes"][1] == {"network": "fd00:8::", "netmask": "ffff:ffff:ffff::", "gateway": "2001:db8::fe"}


def test_openstack_network(instance, secrets):
    found = made(instance, secrets, "openstack")["openstack/latest/network_data.json"]
    assert found["links"][0] == {
        "id": "eth0",
        "vif_id": "11111111-0000-5000-8000-000000000000",
        "type": "phy",
        "mtu": 1450,
        "ethernet_mac_address": "52:54:00:00:00:01",
    }
    assert [(one["id"], one["link"], one["type"]) for one in found["networks"]] == [
        ("network0", "eth0", "ipv4"),
        ("network1", "eth0", "ipv6"),
        ("network2", "eth1", "ipv4"),
        ("network3", "eth2", "ipv4_dhcp"),
    ]
    assert found["networks"][0]["netmask"] == "255.255.255.0"
    assert found["networks"][0]["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"}]
    assert found["networks"][1]["routes"] == [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]
    assert found["networks"][2]["routes"] == []
    assert [one["address"] for one in found["services"]] == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


def test_the_way_out_is_the_first_port_that_has_one(instance):
    instance["ports"][0]["addresses"][0]["gateway"] = None
    ethernets = network.version_2(tuple(instance["ports"]))["ethernets"]
    assert "routes" not in ethernets["eth0"] and ethernets["eth0"]["gateway6"] == "2001:db8::1"
    assert ethernets["eth1"]["routes"] == [{"to": "0.0.0.0/0", "via": "198.51.100.1"}]


def test_a_guest_without_ports_has_no_network():
    assert network.version_2(()) == {"version": 2, "ethernets": {}}
    assert network.network_data(()) == {"links": [], "networks": [], "services": []}


@pytest.mark.parametrize(
    "secret,reason",
    [
        ({"user_data": "not base64 at all"}, "user_data is not base64"),
        ({"user_data": base64.b64encode(bytes(49152)).decode()}, "user_data is 65536 characters in base64, but 65535"),
        ({"admin_pass": "hunter2"}, "admin_pass is not a hash"),
        ({"admin_pass": "$y$j9T$hunter2$hunter2"}, "admin_pass is not a hash"),
        ({"files": {"etc/motd": ""}}, "file 'etc/motd' must be an absolute path"),
        ({"files": {"/a/../../b": ""}}, "must be an absolute path"),
        ({"files": {"/etc/motd": "%%%"}}, "file /etc/motd is not base64"),
    ],
)
def test_wrong_secrets_are_refused_without_telling_them(instance, secret, reason):
    with pytest.raises(ItemError) as raised:
        seed.read(instance, secret)
    assert reason in str(raised.value) and "hunter2" not in str(raised.value)
    assert raised.value.fault == "request"


def test_user_data_of_the_greatest_size_and_of_any_bytes_is_taken(instance):
    content = bytes(range(256)) * 191
    assert seed.read(instance, {"user_data": base64.b64encode(content).decode()}).user_data == content


def test_a_seed_does_not_show_its_secrets(instance, secrets):
    shown = repr(seed.read(instance, secrets))
    assert "hunter2" not in shown and "$6$" not in shown and "motd" not in shown
