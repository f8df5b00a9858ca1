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
ARCHIVE = "#cloud-config-archive\n"


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
    vendor = _vendor(seed, with_files=True)
    if len(vendor) > 1:
        vendor = [ARCHIVE + json.dumps([{"content": one} for one in vendor])]
    return {**files, "vendor-data": vendor[0].encode()} if vendor else files


def openstack(seed: Seed) -> dict[str, bytes]:
    """Return path -> content of a config drive as Nova makes it (label config-2).

    Only `latest`: cloud-init takes the newest dated folder it knows, else this, and the others take this one. The
    folder ec2 is for those that know nothing else.
    """
    stored = [(f"/content/{number:04}", path, content) for number, (path, content) in enumerate(seed.files)]
    meta = {
        "uuid": seed.uuid,
        "name": seed.name,
        "hostname": seed.hostname,
        "launch_index": seed.launch_index,
        "project_id": seed.project,
        "availability_zone": seed.availability_zone,
        "meta": seed.metadata,
        "public_keys": dict(seed.keys),
        "keys": [{"name": name, "type": "ssh", "data": public} for name, public in seed.keys],
        "files": [{"path": path, "content_path": where} for where, path, _content in stored],
        "devices": list(seed.devices),
    }
    vendor = _vendor(seed, with_files=False)
    files = {
        "openstack/latest/meta_data.json": _json(meta),
        "openstack/latest/network_data.json": _json(network_data(seed.ports)),
        "openstack/latest/vendor_data.json": _json({"cloud-init": vendor} if vendor else {}),
        "ec2/latest/meta-data.json": _json(_ec2(seed)),
    }
    if seed.user_data:
        files.update({"openstack/latest/user_data": seed.user_data, "ec2/latest/user-data": seed.user_data})
    return {**files, **{f"openstack{where}": content for where, _path, content in stored}}


def _ec2(seed: Seed) -> dict[str, Any]:
    """Return the metadata in the words of EC2; the ids are made of the uuid, as none of Amazon's are there."""
    addresses = [one["address"] for port in seed.ports for one in port.get("addresses") or []]
    return {
        "ami-launch-index": seed.launch_index,
        "hostname": seed.hostname,
        "instance-id": f"i-{seed.uuid.replace('-', '')[:8]}",
        "instance-type": seed.flavor,
        "local-hostname": seed.hostname,
        "local-ipv4": next((one for one in addresses if ":" not in one), ""),
        "placement": {"availability-zone": seed.availability_zone},
        "public-keys": {str(number): {"openssh-key": public} for number, (_name, public) in enumerate(seed.keys)},
    }


# kind -> (label of the file system, what makes the files)
KINDS = {"nocloud": ("cidata", nocloud), "openstack": ("config-2", openstack)}


def _vendor(seed: Seed, with_files: bool) -> list[str]:
    """Return the parts of the vendor data: what the entry says, and after it, so that it goes before, what we add."""
    config = _cloud_config(seed, with_files)
    ours = [CLOUD_CONFIG + json.dumps(config)] if config else []
    return ([seed.vendor_data] if seed.vendor_data else []) + ours


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
