# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest is to be told, read once from the instance record and its secrets."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from .._model.errors import ItemError

# What every cloud-init takes for a hash (cc_set_passwords); yescrypt, $y$, is none to that of Debian 12.
HASH = re.compile(r"\$(1|2a|2y|5|6)(\$[^$:\s]+){2,}")
BUSES = {"scsi": "scsi", "sata": "ide", "ide": "ide", "usb": "usb"}  # Nova's words; virtio is on PCI
USER_DATA_LIMIT = 65535  # characters in base64: Nova's limit


@dataclass(frozen=True)
class Seed:
    """All that the documents are made from; `ports` are the dicts of the instance record, `devices` disks with a tag.

    `admin_pass` is a crypt(3) hash, `files` are paths in the guest and what they hold. Neither these nor
    `user_data` and `vendor_data` may get into a result or a log, so they are not in the repr.
    """

    uuid: str
    name: str
    hostname: str
    project: str
    availability_zone: str
    metadata: dict[str, str]
    keys: tuple[tuple[str, str], ...]
    ports: tuple[dict[str, Any], ...]
    devices: tuple[dict[str, Any], ...] = ()
    launch_index: int = 0
    flavor: str = ""
    user_data: bytes = field(default=b"", repr=False)
    vendor_data: str = field(default="", repr=False)
    admin_pass: str = field(default="", repr=False)
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


def read(instance: dict[str, Any], secrets: dict[str, Any]) -> Seed:
    """Return the seed of the instance; ItemError names what is wrong, never the secret itself."""
    files = secrets.get("files") or {}
    return Seed(
        uuid=instance["uuid"],
        name=instance["name"],
        hostname=instance.get("hostname") or instance["name"],
        project=instance.get("project") or "default",
        availability_zone=instance.get("availability_zone") or "",
        metadata=dict(instance.get("metadata") or {}),
        keys=tuple((key["name"], key["public_key"].strip()) for key in instance.get("keys") or []),
        ports=tuple(instance.get("ports") or []),
        devices=tuple(_device(instance, one) for one in instance.get("volumes") or [] if one.get("tag")),
        launch_index=int(instance.get("launch_index") or 0),
        flavor=(instance.get("flavor") or {}).get("name") or "",
        user_data=_user_data(secrets.get("user_data") or ""),
        vendor_data=secrets.get("vendor_data") or "",
        admin_pass=_admin_pass(secrets.get("admin_pass") or ""),
        files=tuple((_absolute(path), _decoded(f"file {path}", files[path])) for path in sorted(files)),
    )


def _device(instance: dict[str, Any], volume: dict[str, Any]) -> dict[str, Any]:
    """Return a disk with a tag as Nova's metadata has it; where it is on its bus is known only once the guest runs."""
    bus = volume.get("disk_bus") or ((instance.get("image") or {}).get("properties") or {}).get("hw_disk_bus")
    serial = {"serial": volume["id"]} if volume.get("id") else {}
    return {"type": "disk", "bus": BUSES.get(str(bus), "pci"), **serial, "tags": [volume["tag"]]}


def _user_data(encoded: str) -> bytes:
    if len(encoded) > USER_DATA_LIMIT:
        raise ItemError(
            f"user_data is {len(encoded)} characters in base64, but {USER_DATA_LIMIT} is the limit: "
            f"let the guest fetch the rest, or compress it with gzip",
            fault="request",
        )
    return _decoded("user_data", encoded)


def _decoded(what: str, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ItemError(f"{what} is not base64", fault="request")


def _admin_pass(hashed: str) -> str:
    """Return the hash; one that cloud-init does not know as a hash would become the password itself, in clear."""
    if hashed and not HASH.fullmatch(hashed):
        raise ItemError("admin_pass is not a hash: give it as $6$... or $5$..., never in clear", fault="request")
    return hashed


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ItemError(f"file {path!r} must be an absolute path in the guest", fault="request")
    return path
