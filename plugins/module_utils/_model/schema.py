# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of every variable a user writes, as one JSON Schema (draft 2020-12). Private to this collection.

It is the source of the validation, of docs/schema.json for editors, of the tables in docs/variables.md and of the
role's argument specs. Two keywords are ours: `x-valid` says in words what a pattern wants, and `x-secret` marks a
value that no message may show.
"""

from __future__ import annotations

from typing import Any

from .schemas.cell import CELL
from .schemas.flavor import FLAVOR
from .schemas.image import IMAGE
from .schemas.instance import INSTANCE
from .schemas.keypair import KEYPAIR
from .schemas.network import NETWORK, ROUTER
from .schemas.project import PROJECT
from .schemas.security_group import SECURITY_GROUP
from .schemas.server_group import SERVER_GROUP
from .schemas.volume import VOLUME, VOLUME_KEY, VOLUME_TYPE
from .schemas.words import NAME, PLAIN_NAME, Schema, catalogue, number

VARIABLES = {
    "virtfleet_flavors": catalogue(
        "The sizes a guest can have, by name.",
        NAME,
        FLAVOR,
        {"m1.small": {"vcpus": 1, "memory_mb": 2048, "disk_gb": 20}},
    ),
    "virtfleet_images": catalogue(
        "The disks a guest can start from, by name.",
        NAME,
        IMAGE,
        {
            "debian-12": {
                "url": "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2",
                "checksum": "https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS",
                "min_disk_gb": 3,
            }
        },
    ),
    "virtfleet_networks": catalogue(
        "The networks of the fleet, by name.",
        NAME,
        NETWORK,
        {
            "lan": {
                "type": "bridge",
                "bridge": "br0",
                "subnets": [{"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "pool": ["10.0.0.20-10.0.0.99"]}],
            },
            "red": {"type": "ovn", "subnets": [{"cidr": "10.70.0.0/24"}]},
            "public": {"type": "ovn", "external": True, "bridge": "br-ex", "subnets": [{"cidr": "192.0.2.0/24"}]},
        },
    ),
    "virtfleet_routers": catalogue(
        "The routers of networks of type `ovn`, by name.",
        NAME,
        ROUTER,
        {"edge": {"networks": ["red"], "external": "public", "external_ip": "192.0.2.10", "gateway_hosts": ["kvm1"]}},
    ),
    "virtfleet_volume_types": catalogue(
        "The kinds of volumes, by name.",
        PLAIN_NAME,
        VOLUME_TYPE,
        {"shared": {"backend": "raw", "directory": "/srv/nfs/volumes", "shared": True}},
    ),
    "virtfleet_volumes": catalogue(
        "The volumes of the fleet, by name.",
        PLAIN_NAME,
        VOLUME,
        {"db-data": {"size_gb": 100, "type": "shared"}},
    ),
    "virtfleet_volume_keys": catalogue(
        "The passphrases of encrypted volumes, by the name of a volume or else of its type; keep them in a vault.",
        PLAIN_NAME,
        VOLUME_KEY,
        {"db-data": "{{ vault_db_data }}"},
    ),
    "virtfleet_security_groups": catalogue(
        "What may pass to and from guests, by name.",
        NAME,
        SECURITY_GROUP,
        {
            "web": {
                "rules": [
                    {"protocol": "tcp", "ports": 443},
                    {"protocol": "tcp", "ports": 22, "remote_group": "default"},
                ]
            }
        },
    ),
    "virtfleet_server_groups": catalogue(
        "Which guests share a host and which do not, by name.", NAME, SERVER_GROUP, {"web": {"policy": "anti-affinity"}}
    ),
    "virtfleet_keypairs": catalogue(
        "Public keys, by name.",
        NAME,
        KEYPAIR,
        {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ops"},
    ),
    "virtfleet_cells": catalogue(
        "The parts of the fleet that have a registry each, by name; a fleet without any has one.",
        PLAIN_NAME,
        CELL,
        {"east": {"group": "cell_east"}, "west": {"group": "cell_west"}},
    ),
    "virtfleet_projects": catalogue(
        "Who owns guests, by name, and how much they may have. Project `default` is always there.",
        PLAIN_NAME,
        PROJECT,
        {"default": {"quota": {"instances": 10, "cores": 20, "memory_mb": 51200}}},
    ),
    "virtfleet_max_attempts": number(
        "With how many hosts a new instance is tried in one run, when its hosts fail it.", 1, 3, default=3, examples=[2]
    ),
    "virtfleet_instances": {
        "type": "array",
        "description": "What should run.",
        "items": INSTANCE,
        "default": [],
        "examples": [
            [{"name": "web", "count": 3, "flavor": "m1.small", "image": "debian-12", "networks": [{"network": "lan"}]}]
        ],
    },
}

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://github.com/virtfleet/virtfleet.compute/raw/main/docs/schema.json",
    "title": "Variables of virtfleet.compute",
    "type": "object",
    "properties": VARIABLES,
}


def defaults(schema: Schema) -> dict[str, Any]:
    """Return the keys of a mapping's schema that have a default, with it."""
    return {key: one["default"] for key, one in schema["properties"].items() if "default" in one}
