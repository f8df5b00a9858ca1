# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instance records for the tests of the stages that make and watch domains."""

from __future__ import annotations

import uuid

NODE = """<node>
  <cpu><mhz>6000</mhz><model>i986</model><active>16</active><nodes>2</nodes><sockets>1</sockets><cores>8</cores>
    <threads>1</threads></cpu>
  <memory>33554432</memory>
</node>"""
NASTY = """<web & "db"> 'x' äöü 🚀"""


def port(index=0, **changes):
    """Return the record of a port."""
    return {
        "id": f"5f0c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a{index:02x}",
        "network": "lan",
        "type": "nat",
        "bridge": "virtfleet0",
        "mtu": 1450,
        "mac": f"52:54:00:ab:cd:{index:02x}",
        "fixed_ip": None,
        "addresses": [
            {
                "address": f"192.0.2.{10 + index}",
                "prefix": 24,
                "gateway": "192.0.2.1",
                "dns": [],
                "cidr": "192.0.2.0/24",
            }
        ],
        "subnets": [],
        "port_security": True,
        "tap": f"tap5f0c1a2b{index:02x}",
        **changes,
    }


def record(name="web-1", flavor=None, image=None, **changes):
    """Return the record of an instance with one disk, one port and a config drive."""
    return {
        "name": name,
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"tests/{name}")),
        "project": "default",
        "domain": name,
        "host": "kvm1",
        "hostname": "web-1",
        "state": "active",
        "flavor": {"name": "m1.small", "vcpus": 2, "memory_mb": 256, "disk_gb": 3, "swap_mb": 100, **(flavor or {})},
        "image": {"name": "debian-12", "url": "file:///images/debian-12", "disk_format": "qcow2", **(image or {})},
        "volumes": [{"name": "root", "backend": "qcow2", "size_gb": 3, "boot_index": 0}],
        "ports": [port()],
        "config_drive": "nocloud",
        "wait_for": "running",
        "spec_digest": "1",
        "created_at": "2026-01-01 10:00:00",
        **changes,
    }


def host_uri(folder):
    """Return the libvirt URI of a host of its own with 16 CPUs and 32 GiB, for one connection."""
    file = folder / "node.xml"
    file.write_text(NODE)
    return f"test://{file}"
