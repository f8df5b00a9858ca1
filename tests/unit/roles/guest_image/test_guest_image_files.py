# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's own files: all listed, and their jq programs right."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess

import pytest
import yaml

ROLE = pathlib.Path(__file__).resolve().parents[4] / "roles" / "guest_image"
LIBRARY = ROLE / "files" / "root" / "usr" / "lib" / "virtfleet"
MAC = "52:54:00:aa:00:01"


def test_the_role_sends_every_file_to_the_host():
    listed = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__guest_image_names"]
    files = [str(path.relative_to(ROLE / "files")) for path in (ROLE / "files").rglob("*") if path.is_file()]
    assert sorted(listed) == sorted(files)


@pytest.mark.parametrize("script", sorted(path for path in (ROLE / "files").rglob("*") if path.is_file()))
def test_scripts_are_shell(script):
    if script.read_text().startswith("#!/bin/sh"):
        subprocess.run(["sh", "-n", str(script)], check=True)


def jq(program, value):
    if not shutil.which("jq"):
        pytest.skip("needs jq")
    done = subprocess.run(
        ["jq", "-r", "-f", str(LIBRARY / program)], input=json.dumps(value), capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines() or done.stderr


NOCLOUD = {
    "version": 2,
    "ethernets": {
        "eth0": {
            "match": {"macaddress": MAC.upper()},
            "mtu": 1400,
            "addresses": ["10.0.0.5/24", "fd00::5/64"],
            "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}, {"to": "10.9.0.0/16", "via": "10.0.0.2"}],
            "nameservers": {"addresses": ["9.9.9.9", "1.1.1.1", "9.9.9.9"]},
        },
        "eth1": {"dhcp4": True},
    },
}
OPENSTACK = {
    "links": [{"id": "tap1", "ethernet_mac_address": MAC, "mtu": 1450}, {"id": "tap2", "ethernet_mac_address": "b"}],
    "networks": [
        {
            "link": "tap1",
            "type": "ipv4",
            "ip_address": "10.0.0.5",
            "netmask": "255.255.240.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}],
            "services": [{"type": "dns", "address": "1.1.1.1"}],
        },
        {"link": "tap1", "type": "ipv6", "ip_address": "fd00::5", "netmask": "ffff:ffff:ffff:ffff::", "routes": []},
        {"link": "tap2", "type": "ipv4_dhcp"},
    ],
    "services": [{"type": "dns", "address": "8.8.8.8"}],
}
FIRST = f"{MAC} 1400 no 10.0.0.5/24,fd00::5/64 default@10.0.0.1,10.9.0.0/16@10.0.0.2 9.9.9.9,1.1.1.1"


@pytest.mark.parametrize(
    "config,lines",
    [
        (NOCLOUD, [FIRST, "eth1 - yes - - -"]),
        ({"network": NOCLOUD}, [FIRST, "eth1 - yes - - -"]),
        (
            OPENSTACK,
            [
                f"{MAC} 1450 no 10.0.0.5/20,fd00::5/64 default@10.0.0.1 1.1.1.1,8.8.8.8",
                "b - yes - - 8.8.8.8",
            ],
        ),
        ({"version": 2, "ethernets": {"a": {"addresses": ["1.2.3.4/24; reboot"]}}}, ["a - no 1.2.3.4/24reboot - -"]),
    ],
)
def test_both_layouts_become_the_same_lines(config, lines):
    assert jq("network.jq", config) == lines


def test_another_layout_is_refused_in_words():
    assert "neither network-config version 2 nor network_data.json" in jq("network.jq", {"version": 1, "config": []})


@pytest.mark.parametrize(
    "meta,line",
    [
        (
            {"instance-id": "i 1;", "local-hostname": "a'b", "public-keys": ["k1", "k2"]},
            r"iid='i_1_' name='a'\''b' keys='k1" + "\n" + "k2' password=''",
        ),
        (
            {"uuid": "u", "hostname": "h", "public_keys": {"a": "k1"}, "admin_pass": "p"},
            "iid='u' name='h' keys='k1' password='p'",
        ),
        ({"instance-id": "i", "keys": [{"type": "ssh", "data": "k"}]}, "iid='i' name='' keys='k' password=''"),
    ],
)
def test_both_kinds_of_meta_data_become_assignments(meta, line):
    assert "\n".join(jq("identity.jq", meta)) == line


def test_a_cloud_config_becomes_a_script():
    config = {
        "hostname": "h",
        "write_files": [{"path": "/a b", "content": "eA==", "encoding": "b64", "permissions": "0600"}],
        "runcmd": ["echo $HOME", ["touch", "it's"]],
    }
    assert jq("cloud-config.jq", config) == [
        "/usr/lib/virtfleet/set-identity hostname 'h'",
        "mkdir -p \"$(dirname '/a b')\"",
        "printf %s 'eA==' | base64 -d >'/a b'",
        "chmod '0600' '/a b'",
        "echo $HOME",
        r"'touch' 'it'\''s'",
    ]
