# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and instances to test with: small records with the fields that the registry reads."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.UUID("00000000-0000-0000-0000-0000000f1ee7")
LAN = {"cidr": "192.0.2.0/24", "gateway": "192.0.2.1", "dns": ["192.0.2.2"], "pool": ["192.0.2.10-192.0.2.250"]}


def host(name="vfr-h1", vcpus=8, memory_mb=8192, disk_gb=100, **more):
    """A host that reserves nothing and overcommits nothing, so that its numbers are what they say."""
    plain = {
        "cpu_allocation_ratio": 1.0,
        "reserved_memory_mb": 0,
        "vcpus_used": 0,
        "memory_mb_used": 0,
        "disk_gb_used": 0,
    }
    return {"name": name, "vcpus": vcpus, "memory_mb": memory_mb, "disk_gb": disk_gb, "instances": [], **plain, **more}


def port(owner, index=0, network="lan", subnets=(LAN,), **more):
    """The index-th port of an instance."""
    identity = uuid.uuid5(NAMESPACE, f"{owner}/{network}/{index}")
    mac = "52:54:00:" + ":".join(identity.hex[at : at + 2] for at in (0, 2, 4))
    # Six hexadecimal digits are few among thousands of test ports; the first byte is free to differ.
    mac = f"{int(identity.hex[6:8], 16) & 0xFC | 2:02x}:{identity.hex[8:10]}" + mac[5:]
    return {"id": str(identity), "network": network, "mac": mac, "fixed_ip": None, "subnets": list(subnets), **more}


def instance(name="web-1", at="vfr-h1", project="default", vcpus=1, memory_mb=256, disk_gb=1, **more):
    """An instance with one port in network lan, placed on the host `at`."""
    return {
        "name": name,
        "uuid": str(uuid.uuid5(NAMESPACE, f"{project}/{name}")),
        "project": project,
        "domain": name if project == "default" else f"{project}-{name}",
        "host": at,
        "flavor": {"name": "m1.tiny", "vcpus": vcpus, "memory_mb": memory_mb, "disk_gb": disk_gb},
        "image": {"name": "debian-12"},
        "ports": [port(f"{project}/{name}")],
        "spec_digest": f"{vcpus}-{memory_mb}-{disk_gb}",
        **more,
    }
