# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Good requests and their records."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import catalogue
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.resolve import request

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ops\n"
SPEC = {
    "virtfleet_flavors": {
        "m1.small": {
            "vcpus": 2,
            "memory_mb": 256,
            "disk_gb": 1,
            "extra_specs": {"hw:boot_menu": True, "hw:numa_nodes": 2},
        }
    },
    "virtfleet_images": {"tiny": {"url": "file:///srv/tiny.qcow2", "description": "for tests"}},
    "virtfleet_networks": {"lan": {"type": "nat", "bridge": "vfreq0", "subnets": [{"cidr": "198.51.100.0/24"}]}},
    "virtfleet_security_groups": {"web": {"rules": [{"protocol": "tcp", "ports": 443}]}},
    "virtfleet_server_groups": {"apart": {"policy": "anti-affinity"}},
    "virtfleet_keypairs": {"ops": KEY},
}
WEB = {"name": "web", "flavor": "m1.small", "image": "tiny"}
ANY = {"ethertype": "", "protocol": "any", "ports": "", "icmp_type": None, "icmp_code": None, "remote": ""}
ALL_OUT = {"direction": "egress", **ANY, "remote_group": ""}
HTTPS = {**ALL_OUT, "direction": "ingress", "protocol": "tcp", "ports": "443"}


def records(*entries, **more):
    found, problems = request({**SPEC, **more, "virtfleet_instances": list(entries)})
    assert [str(one) for one in problems] == []
    return found


LARGE = {"vcpus": 1, "memory_mb": 256, "disk_gb": 1, "ephemeral_gb": 5, "swap_mb": 512}


@pytest.mark.parametrize("os_type,file_system", [(None, "ext4"), ("linux", "ext4"), ("windows", "vfat")])
def test_the_disks_of_a_flavor_come_in_nova_s_order(os_type, file_system):
    images = {"tiny": {"url": "file:///srv/tiny.qcow2", "properties": {"os_type": os_type} if os_type else {}}}
    (one,) = records({**WEB, "flavor": "large"}, virtfleet_flavors={"large": LARGE}, virtfleet_images=images)
    assert one["volumes"] == [
        {"name": "root", "backend": "qcow2", "size_gb": 1, "boot_index": 0},
        {
            "name": "ephemeral0",
            "backend": "qcow2",
            "size_gb": 5,
            "boot_index": None,
            "guest_format": file_system,
        },
        {"name": "swap", "backend": "qcow2", "size_gb": 0, "size_mb": 512, "boot_index": None, "guest_format": "swap"},
    ]


VOLUMES = {
    "virtfleet_volume_types": {"nfs": {"backend": "raw", "directory": "/srv/nfs", "shared": True, "cache": "none"}},
    "virtfleet_volumes": {"data": {"size_gb": 5, "type": "nfs"}, "boot": {"size_gb": 3, "image": "tiny"}},
}
DATA = {"source_type": "volume", "source": "data", "destination_type": "volume", "tag": "db"}


def test_a_volume_of_the_catalogue_is_a_disk_with_its_own_id():
    (one,) = records({**WEB, "block_devices": [DATA]}, **VOLUMES)
    assert one["volumes"][1] == {
        "name": "data",
        "backend": "raw",
        "pool": {"directory": "/srv/nfs", "shared": True},
        "cache": "none",
        "discard": "unmap",
        "size_gb": 5,
        "boot_index": None,
        "id": one["volumes"][1]["id"],
        "tag": "db",
    }
    (bare,) = records(WEB, **VOLUMES)
    assert bare["spec_digest"] != one["spec_digest"] and len(one["volumes"][1]["id"]) == 36


@pytest.mark.parametrize(
    "device,image,root",
    [
        ({"source_type": "volume", "source": "boot", "boot_index": 0}, "tiny", "boot"),
        ({"source_type": "volume", "source": "data", "boot_index": 0}, "", "data"),
        ({"source_type": "image", "source": "tiny", "boot_index": 0, "volume_size": 3}, "tiny", "web-0"),
    ],
)
def test_a_guest_boots_from_a_volume_in_the_place_of_its_root_disk(device, image, root):
    entry = {"name": "web", "flavor": "m1.small", "block_devices": [{**device, "destination_type": "volume"}]}
    (one,) = records(entry, **VOLUMES)
    assert [(disk["name"], disk["boot_index"]) for disk in one["volumes"]] == [(root, 0)]
    assert one["image"]["name"] == image


SAFE = {"virtfleet_volume_types": {"safe": {"backend": "raw", "encryption": "luks"}}}


@pytest.mark.parametrize("name", ["safe", "data"])
def test_an_encrypted_volume_names_its_passphrase_and_never_holds_it(name):
    volumes = {"virtfleet_volumes": {"data": {"size_gb": 5, "type": "safe"}}, **SAFE}
    (one,) = records({**WEB, "block_devices": [DATA]}, virtfleet_volume_keys={name: "correct horse"}, **volumes)
    assert (one["volumes"][1]["encryption"], one["volumes"][1]["key"]) == ("luks", "safe")
    assert "horse" not in json.dumps(one)


def test_the_disks_of_a_flavor_are_encrypted_by_the_passphrase_of_their_type():
    keys = {"virtfleet_volume_keys": {"safe": "correct horse"}}
    (one,) = records({**WEB, "volume_type": "safe"}, **keys, **SAFE)
    assert [(disk["name"], disk["encryption"], disk["key"]) for disk in one["volumes"]] == [("root", "luks", "safe")]


@pytest.mark.parametrize("source_type", ["image", "snapshot"])
def test_a_volume_beside_the_root_disk_brings_the_image_that_it_is_made_from(source_type):
    images = {
        **SPEC["virtfleet_images"],
        "tools": {"url": "file:///srv/tools.raw", "disk_format": "raw", "host": "kvm1"},
    }
    device = {"source_type": source_type, "source": "tools", "destination_type": "volume", "volume_size": 2}
    (one,) = records({**WEB, "block_devices": [device]}, virtfleet_images=images)
    assert one["image"]["name"] == "tiny"
    assert one["volumes"][1]["source_image"] == "tools" and one["volumes"][1]["boot_index"] is None
    known = {"name": "tools", "url": "file:///srv/tools.raw", "disk_format": "raw", "host": "kvm1"}
    assert one["volumes"][1]["image"] == known
    assert "image" not in one["volumes"][0]


def test_each_of_several_instances_has_a_new_volume_of_its_own():
    device = {"source_type": "blank", "destination_type": "volume", "volume_size": 2, "delete_on_termination": True}
    first, second = records({**WEB, "count": 2, "block_devices": [device]})
    names = [one["volumes"][1]["name"] for one in (first, second)]
    assert names == ["web-1-0", "web-2-0"]
    assert first["volumes"][1]["id"] != second["volumes"][1]["id"]
    assert first["volumes"][1]["delete_on_termination"]


def test_local_block_devices_are_shares_of_the_flavor():
    shares = [
        {"source_type": "blank", "destination_type": "local", "volume_size": 3, "guest_format": "vfat"},
        {"source_type": "blank", "destination_type": "local", "volume_size": 2},
    ]
    entry = {**WEB, "flavor": "large", "block_devices": shares}
    (one,) = records(entry, virtfleet_flavors={"large": LARGE})
    assert [(disk["name"], disk["size_gb"], disk.get("guest_format")) for disk in one["volumes"]] == [
        ("root", 1, None),
        ("ephemeral0", 3, "vfat"),
        ("ephemeral1", 2, "ext4"),
        ("swap", 0, "swap"),
    ]


def test_a_whole_record():
    entry = {**WEB, "count": 2, "key_name": "ops", "server_group": "apart", "security_groups": ["web"], "tags": ["a"]}
    more = {"user_data": "#!/bin/sh", "metadata": {"a": "b"}, "availability_zone": "r", "hints": {"same_host": "x"}}
    _first, second = records({**entry, **more})
    digests = second.pop("user_data_digest"), second.pop("spec_digest")
    assert all(len(one) == 64 for one in digests)
    assert second == {
        "name": "web-2",
        "uuid": second["uuid"],
        "project": "default",
        "domain": "web-2",
        "host": None,
        "hostname": "web-2",
        "state": "active",
        "flavor": {
            "name": "m1.small",
            "vcpus": 2,
            "memory_mb": 256,
            "disk_gb": 1,
            "ephemeral_gb": 0,
            "swap_mb": 0,
            "extra_specs": {"hw:boot_menu": "true", "hw:numa_nodes": "2"},
        },
        "image": {
            "name": "tiny",
            "url": "file:///srv/tiny.qcow2",
            "checksum": None,
            "disk_format": "qcow2",
            "min_disk_gb": 0,
            "min_ram_mb": 0,
            "properties": {},
        },
        "volumes": [{"name": "root", "backend": "qcow2", "size_gb": 1, "boot_index": 0}],
        "ports": [
            {
                "id": second["ports"][0]["id"],
                "network": "lan",
                "type": "nat",
                "bridge": "vfreq0",
                "mtu": 1500,
                "mac": second["ports"][0]["mac"],
                "fixed_ip": None,
                "addresses": [],
                "subnets": [
                    {
                        "cidr": "198.51.100.0/24",
                        "gateway": "198.51.100.1",
                        "dns": [],
                        "pool": ["198.51.100.2-198.51.100.254"],
                    }
                ],
                "port_security": True,
                "security_groups": [{"name": "web", "stateful": True, "rules": [HTTPS, ALL_OUT]}],
                "allowed_address_pairs": [],
                "tap": second["ports"][0]["tap"],
            }
        ],
        "keys": [{"name": "ops", "public_key": KEY.strip()}],
        "metadata": {"a": "b"},
        "tags": ["a"],
        "availability_zone": "r",
        "server_group": {"name": "apart", "policy": "anti-affinity", "rules": {}},
        "wait_for": "running",
        "config_drive": "nocloud",
        "config_drive_format": "iso9660",
        "launch_index": 1,
        "scheduling": {
            "entry": "web",
            "hints": {"same_host": "x"},
            "requested_host": None,
            "force_hosts": [],
            "ignore_hosts": [],
            "min_count": None,
            "spread": None,
        },
    }


def test_no_secret_is_in_a_record():
    secret = {"user_data": "SECRET", "admin_pass": "$6$SALT$SECRET", "files": [{"path": "/x", "content": "SECRET"}]}
    assert "SECRET" not in json.dumps(records({**WEB, **secret}))


def test_twice_the_same_request_gives_the_same_records():
    assert records({**WEB, "count": 3}) == records({**WEB, "count": 3})


def test_order_and_neighbours_do_not_change_a_record():
    alone = records(WEB)[0]
    assert records({**WEB, "name": "a"}, WEB, {**WEB, "name": "z", "count": 2})[1] == alone


def test_more_of_an_entry_does_not_change_the_first_ones():
    assert records({**WEB, "count": 2}) == records({**WEB, "count": 5})[:2]


def test_absent_entries_need_only_a_name():
    gone = records({"name": "web", "count": 2, "state": "absent"})
    assert [(one["name"], one["state"], one["ports"], one["volumes"]) for one in gone] == [
        ("web-1", "absent", [], []),
        ("web-2", "absent", [], []),
    ]
    assert [one["uuid"] for one in gone] == [one["uuid"] for one in records({**WEB, "count": 2})]


def test_null_means_the_same_as_nothing():
    nothing = dict.fromkeys(("key_name", "server_group", "user_data", "availability_zone", "host", "admin_pass"))
    assert records({**WEB, **nothing}) == records(WEB)


@pytest.mark.parametrize("networks,names", [({}, ["lan"]), ({"networks": []}, []), ({"networks": None}, None)])
def test_without_a_word_the_only_network_is_taken(networks, names):
    if names is None:
        assert request({**SPEC, "virtfleet_instances": [{**WEB, **networks}]})[1]
    else:
        assert [port["network"] for port in records({**WEB, **networks})[0]["ports"]] == names


def test_the_same_network_twice_gives_two_ports():
    first, second = records({**WEB, "networks": [{"network": "lan"}, {"network": "lan"}]})[0]["ports"]
    assert first["id"] != second["id"] and first["mac"] != second["mac"] and first["tap"] != second["tap"]


def test_names_that_xml_and_terminals_fear_are_fine():
    for name in ("<&\"'>", "Grün-🐘", "日本", "a" * 247, "{{ x }}", "$(reboot)"):
        assert records({**WEB, "name": name})[0]["domain"] == name


def test_a_quota_counts_what_is_there_beside_what_is_asked_for():
    spec = {**SPEC, "virtfleet_projects": {"default": {"quota": {"cores": 4}}}, "virtfleet_instances": [WEB]}
    web = records(WEB)[0]
    other = {**web, "uuid": "other", "flavor": {"vcpus": 3, "memory_mb": 1}}
    assert request(spec, [web])[1] == []
    assert [str(one) for one in request(spec, [web, other])[1]] == [
        "virtfleet_projects.default.quota.cores is 4, and 5 are asked for: ask for fewer or raise it"
    ]


def test_user_data_at_the_limit_is_taken():
    assert records({**WEB, "user_data": "x" * 49149})


SUBNETS = [
    ({"cidr": "192.0.2.0/24", "gateway": "192.0.2.9"}, ["192.0.2.1-192.0.2.8", "192.0.2.10-192.0.2.254"]),
    ({"cidr": "192.0.2.0/24", "gateway": None}, ["192.0.2.1-192.0.2.254"]),
    ({"cidr": "192.0.2.0/24", "gateway": "192.0.2.254"}, ["192.0.2.1-192.0.2.253"]),
    (
        {"cidr": "192.0.2.0/24", "pool": ["192.0.2.7", "192.0.2.20 - 192.0.2.30"]},
        ["192.0.2.7-192.0.2.7", "192.0.2.20-192.0.2.30"],
    ),
    ({"cidr": "192.0.2.0/30"}, ["192.0.2.2-192.0.2.2"]),
    ({"cidr": "192.0.2.0/31"}, ["192.0.2.0-192.0.2.1"]),
    ({"cidr": "192.0.2.1/32"}, ["192.0.2.1-192.0.2.1"]),
    ({"cidr": "2001:db8::/64"}, ["2001:db8::2-2001:db8::ffff:ffff:ffff:ffff"]),
]


@pytest.mark.parametrize("subnet,pool", SUBNETS)
def test_pools(subnet, pool):
    assert catalogue.whole_subnet(subnet, {"dhcp": False})["pool"] == pool


@given(st.ip_addresses(v=4), st.integers(8, 32), st.integers(0, 2**32))
def test_a_default_pool_is_in_its_range_and_without_the_gateway(address, prefix, pick):
    cidr = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    gateway = str(cidr[pick % cidr.num_addresses])
    for pool in catalogue.default_pool(cidr, gateway):
        first, last = map(ipaddress.ip_address, pool.split("-"))
        assert first in cidr and last in cidr and first <= last
        assert not first <= ipaddress.ip_address(gateway) <= last


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["name", "count", "flavor", "image", "networks", "state", "files", "tags", "hints", "key_name", "flavour"]


@settings(deadline=None)  # a busy machine is no finding
@given(st.dictionaries(st.sampled_from(KEYS), JSON), JSON, JSON)
def test_whatever_a_user_writes_is_answered_and_not_a_traceback(entry, networks, flavors):
    spec = {**SPEC, "virtfleet_networks": networks, "virtfleet_flavors": flavors}
    for one in (spec, SPEC):
        found, problems = request({**one, "virtfleet_instances": [{**WEB, **entry}]})
        assert found or problems or entry.get("state") == "absent"
        assert all(str(problem).isprintable() for problem in problems)
