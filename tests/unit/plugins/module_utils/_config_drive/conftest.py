# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import uuid

import pytest

UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "vfs-web-1"))


@pytest.fixture
def instance():
    """An instance with two static ports, the second without a way out, and one with DHCP."""
    return {
        "name": "Wäb <&\"'> 🦊",
        "uuid": UUID,
        "project": "default",
        "hostname": "web-1",
        "config_drive": "nocloud",
        "availability_zone": None,
        "metadata": {"rôle": "wéb"},
        "keys": [{"name": "ops", "public_key": "ssh-ed25519 AAAA ops\n"}],
        "image": {"name": "tiny", "properties": {}},
        "ports": [
            {
                "id": "11111111-0000-5000-8000-000000000000",
                "network": "lan",
                "mac": "52:54:00:00:00:01",
                "mtu": 1450,
                "addresses": [
                    {"address": "192.0.2.31", "prefix": 24, "gateway": "192.0.2.1", "dns": ["192.0.2.1", "192.0.2.2"]},
                    {"address": "2001:db8::31", "prefix": 64, "gateway": "2001:db8::1", "dns": ["2001:db8::1"]},
                ],
            },
            {
                "id": "22222222-0000-5000-8000-000000000000",
                "network": "back",
                "mac": "52:54:00:00:00:02",
                "mtu": 9000,
                "addresses": [
                    {"address": "198.51.100.7", "prefix": 25, "gateway": "198.51.100.1", "dns": ["192.0.2.1"]}
                ],
            },
            {
                "id": "33333333-0000-5000-8000-000000000000",
                "network": "any",
                "mac": "52:54:00:00:00:03",
                "addresses": [],
            },
        ],
    }


@pytest.fixture
def secrets():
    """What only the guest may see."""
    return {
        "user_data": base64.b64encode(b"#!/bin/sh\ntouch /root/hunter2\n").decode(),
        "admin_pass": "$6$salt$hash",
        "files": {"/etc/motd": base64.b64encode("grüße\n".encode()).decode()},
    }
