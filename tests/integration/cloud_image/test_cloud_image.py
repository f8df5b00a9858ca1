# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real cloud-init of a Debian cloud image makes of our config drives: both layouts, booted by boot.yml.

An emulated Debian takes about a minute of processor time until cloud-init is done, so each layout is booted once.
"""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.user_data import multipart

from ..labs import Lab
from . import image

DEADLINE = 900  # seconds on a busy machine; alone it takes one minute
# `openssl passwd -6 -salt cloud correct-horse`
HASHED = "$6$cloud$WXtssSev2TvBS.YeiZTa1zRhmOROFkBiA1zI8hRNWww7cidgb7zRDAytTnPPNHIL0VCukccvvMH.zuYHMGOpz0"
SCRIPT = "#!/bin/sh\necho script >> /root/ran\n"
CONFIG = "#cloud-config\nfqdn: {name}.example.org\nruncmd: [[sh, -c, 'echo runcmd >> /root/ran']]\n"
BOOTHOOK = "#cloud-boothook\n#!/bin/sh\ncloud-init-per instance hook sh -c 'echo boothook >> /root/ran'\n"
JINJA = (
    "## template: jinja\n#cloud-config\nwrite_files:\n- {path: /root/jinja, content: 'it is {{ v1.instance_id }}'}\n"
)
VENDOR = "#!/bin/sh\necho vendor >> /root/ran\n"
GUESTS = {"nocloud": ("cloud-a", "1.21"), "openstack": ("cloud-b", "1.22")}


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A lab of one host that knows the image."""
    one = Lab(tmp_path_factory.mktemp("cloud"), "vfcloud", "10.81.0.0/16")
    one.up()
    yield one
    one.play("playbooks/delete.yml", "-e", "names=" + ",".join(name for name, _ip in GUESTS.values()), **{})
    one.down()


def variables(lab: Lab) -> dict:
    """Return the fleet: two networks on one bridge, and a guest for each layout."""
    lan = {"cidr": lab.net, "gateway": f"{lab.prefix}.0.1", "dns": [f"{lab.prefix}.0.1"]}
    lan["pool"] = [f"{lab.prefix}.1.10-{lab.prefix}.9.250"]
    v6 = {"cidr": "fd00:68::/64", "gateway": "fd00:68::1", "dns": ["fd00:68::1"], "pool": ["fd00:68::10-fd00:68::99"]}
    back = {"cidr": "192.0.2.0/24", "gateway": "192.0.2.1", "pool": ["192.0.2.10-192.0.2.99"]}
    back["routes"] = [{"to": "198.51.100.0/24", "via": "192.0.2.254"}]
    return {
        "virtfleet_flavors": {"cloud": {"vcpus": 1, "memory_mb": 768, "disk_gb": 3}},
        "virtfleet_images": {"debian": {**lab.share(image.ensure()), "disk_format": "qcow2"}},
        "virtfleet_networks": {
            "lan": {"type": "bridge", "bridge": "br0", "mtu": 1500, "subnets": [lan]},
            "back": {"type": "bridge", "bridge": "br0", "mtu": 1400, "subnets": [back, v6]},
        },
        "virtfleet_keypairs": {"ops": lab.key.with_suffix(".pub").read_text().strip()},
        "virtfleet_instances": [entry(lab, kind) for kind in GUESTS],
        "ready_timeout": DEADLINE,
    }


def entry(lab: Lab, kind: str) -> dict:
    """Return a guest with everything; NoCloud as several parts in gzip on vfat, the other as parts on ISO 9660."""
    name, address = GUESTS[kind]
    parts = [CONFIG.format(name=name), SCRIPT, BOOTHOOK]
    told = {"user_data": "{% raw %}" + multipart([*parts, JINJA]) + "{% endraw %}"}  # what is jinja is not Ansible's
    if kind == "nocloud":
        told = {"user_data_base64": base64.b64encode(gzip.compress(multipart(parts).encode(), mtime=0)).decode()}
        told["config_drive_format"] = "vfat"
    return {
        "name": name,
        "flavor": "cloud",
        "image": "debian",
        "networks": [{"network": "lan", "fixed_ip": f"{lab.prefix}.{address}"}, {"network": "back"}],
        "key_name": "ops",
        "config_drive": kind,
        "metadata": {"role": "web"},
        "admin_pass": HASHED,
        "files": [
            {"path": "/etc/virtfleet/motd", "content": "grüße\n"},
            {"path": "/etc/raw", "content_base64": "AAEC"},
        ],
        "vendor_data": VENDOR,
        "wait_for": "agent",
        **told,
    }


@pytest.fixture(scope="session")
def booted(lab):
    """Both guests, booted at the same time; cloud-init of each is done."""
    run = lab.play("playbooks/boot.yml", **variables(lab))
    assert run.code == 0, run.output
    for _name, address in GUESTS.values():
        lab.until_ssh("debian", f"{lab.prefix}.{address}", "cloud-init status --wait >/dev/null; true", DEADLINE)
    return lab


@pytest.fixture(params=GUESTS)
def guest(request, booted):
    """One of the guests: what its root would see."""
    name, address = GUESTS[request.param]

    def ask(command: str) -> str:
        return booted.ssh("debian", f"{booted.prefix}.{address}", f"sudo sh -c {json.dumps(command)}")

    ask.kind, ask.name, ask.address = request.param, name, f"{booted.prefix}.{address}"
    return ask


def test_cloud_init_is_content(guest):
    status = guest("cloud-init status --long")
    assert "status: done" in status, status
    result = json.loads(guest("cat /run/cloud-init/result.json"))["v1"]
    assert result["errors"] == []
    source = {"nocloud": "DataSourceNoCloud", "openstack": "DataSourceConfigDrive"}[guest.kind]
    assert result["datasource"].startswith(source), result
    warnings = guest("grep -h WARNING /var/log/cloud-init.log || true").splitlines()
    assert warnings == [], guest("cat /var/lib/cloud/instance/cloud-config.txt")


def test_names_and_metadata(guest):
    assert guest("hostname; hostname -f").split() == [guest.name, f"{guest.name}.example.org"]
    told = json.loads(guest("cat /run/cloud-init/instance-data.json"))
    assert told["v1"]["instance_id"] == guest("cat /var/lib/cloud/data/instance-id")
    assert told["ds"]["meta_data"]["meta"] == {"role": "web"}
    if guest.kind == "openstack":
        assert told["ds"]["ec2_metadata"]["local-ipv4"] == guest.address


def test_addresses_routes_and_mtu_of_both_cards(guest):
    links = {one["address"]: one for one in json.loads(guest("ip -j address"))}
    cards = [one for mac, one in links.items() if mac.startswith("52:54")]
    found = {
        (one["local"], one["prefixlen"], card["mtu"])
        for card in cards
        for one in card["addr_info"]
        if one["scope"] == "global"
    }
    lan = next(one for one in found if one[0] == guest.address)
    assert lan == (guest.address, 16, 1500)
    assert {one[1:] for one in found if one[0].startswith("fd00:68::")} == {(64, 1400)}
    assert {one[1:] for one in found if one[0].startswith("192.0.2.")} == {(24, 1400)}
    assert len(found) == 3
    routes = {one["dst"]: one.get("gateway") for one in json.loads(guest("ip -j route"))}
    gateway = guest.address.rsplit(".", 2)[0] + ".0.1"
    assert (routes["default"], routes["198.51.100.0/24"]) == (gateway, "192.0.2.254")
    routes = [(one["dst"], one.get("gateway")) for one in json.loads(guest("ip -6 -j route"))]
    assert ("default", "fd00:68::1") in routes
    servers = guest("resolvectl dns")
    assert gateway in servers and "fd00:68::1" in servers


def test_key_password_and_files(guest):
    assert guest("getent shadow debian").split(":")[1] == HASHED
    assert guest("cat /etc/virtfleet/motd; od -An -tx1 /etc/raw").split() == ["grüße", "00", "01", "02"]
    modes = guest("stat -c '%a %U' /etc/virtfleet/motd /etc/raw").splitlines()
    assert set(modes) == {"600 root"} if guest.kind == "nocloud" else {"660 root"}


def test_every_part_of_the_user_data_ran_once(guest):
    assert sorted(guest("cat /root/ran").split()) == ["boothook", "runcmd", "script", "vendor"]
    if guest.kind == "openstack":
        assert guest("cat /root/jinja") == "it is " + guest("cat /var/lib/cloud/data/instance-id")


def test_the_disk_has_grown(guest):
    assert int(guest("df --output=size -m / | tail -1")) > 2700


def test_the_drive_and_the_secrets_are_for_root_alone(guest, booted):
    name = guest.name
    seen = booted.on("kvm1", f"virsh domblklist {name} --details | grep config; virsh dumpxml {name}")
    path = next(word for word in seen.split() if word.endswith("config.iso"))
    assert booted.on("kvm1", f"stat -c %a {path}").strip() == "600"
    assert HASHED not in seen and "correct" not in seen


def test_a_second_run_changes_nothing(booted):
    run = booted.play("playbooks/boot.yml", **variables(booted))
    assert (run.code, run.changed) == (0, 0), run.output
