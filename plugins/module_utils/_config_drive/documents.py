# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a config drive, as text. All are JSON, which is YAML too, so that any guest can read them."""

from __future__ import annotations

import base64
import json
from typing import Any

from .network import network_data, version_2
from .seed import Seed

CLOUD_CONFIG = "#cloud-config\n"


def nocloud(seed: Seed) -> dict[str, bytes]:
    """Return path -> content of a NoCloud seed (label cidata)."""
    meta = {
        "instance-id": seed.uuid,
        "local-hostname": seed.hostname,
        "hostname": seed.hostname,
        "name": seed.name,
        "project_id": seed.project,
        "availability_zone": seed.availability_zone,
        "public-keys": [public for _name, public in seed.keys],
        "meta": seed.metadata,
    }
    files = {"meta-data": _json(meta), "user-data": seed.user_data, "network-config": _json(version_2(seed.ports))}
    vendor = _cloud_config(seed, with_files=True)
    return {**files, "vendor-data": (CLOUD_CONFIG + json.dumps(vendor)).encode()} if vendor else files


def openstack(seed: Seed) -> dict[str, bytes]:
    """Return path -> content of a config drive as Nova makes it (label config-2).

    Only `latest`: cloud-init takes the newest dated folder it knows, else this, and the others take this one.
    """
    stored = [(f"/content/{number:04}", path, content) for number, (path, content) in enumerate(seed.files)]
    meta = {
        "uuid": seed.uuid,
        "name": seed.name,
        "hostname": seed.hostname,
        "launch_index": 0,
        "project_id": seed.project,
        "availability_zone": seed.availability_zone,
        "meta": seed.metadata,
        "public_keys": dict(seed.keys),
        "keys": [{"name": name, "type": "ssh", "data": public} for name, public in seed.keys],
        "files": [{"path": path, "content_path": where} for where, path, _content in stored],
        "devices": [],
    }
    vendor = _cloud_config(seed, with_files=False)
    files = {
        "meta_data.json": _json(meta),
        "network_data.json": _json(network_data(seed.ports)),
        "vendor_data.json": _json({"cloud-init": CLOUD_CONFIG + json.dumps(vendor)} if vendor else {}),
    }
    if seed.user_data:
        files["user_data"] = seed.user_data
    return {
        **{f"openstack/latest/{name}": content for name, content in files.items()},
        **{f"openstack{where}": content for where, _path, content in stored},
    }


# kind -> (label of the file system, what makes the files)
KINDS = {"nocloud": ("cidata", nocloud), "openstack": ("config-2", openstack)}


def _cloud_config(seed: Seed, with_files: bool) -> dict[str, Any]:
    """Return what has no place of its own in the metadata; the user's user_data goes before it, key by key."""
    config: dict[str, Any] = {}
    if seed.admin_pass:
        config.update(password=seed.admin_pass, chpasswd={"expire": False})
    if with_files and seed.files:
        config["write_files"] = [
            {"path": path, "encoding": "b64", "content": base64.b64encode(content).decode(), "permissions": "0600"}
            for path, content in seed.files
        ]
    return config


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
