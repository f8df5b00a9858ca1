# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every name, id and digest that is derived and not chosen: the same input gives the same answer on every run.

Private to this collection.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

# uuid5(NAMESPACE_URL, "urn:virtfleet:1"). Changing it gives every instance in the world a new uuid.
NAMESPACE = uuid.UUID("016262ae-1e8d-52e4-bd62-8f19a7600126")
DEFAULT_PROJECT = "default"

# What makes the guest what it is; not where or whether it runs, how long to wait for it, and what stages learn.
GUEST_KEYS = (
    "name",
    "project",
    "hostname",
    "flavor",
    "image",
    "volumes",
    "ports",
    "keys",
    "metadata",
    "tags",
    "availability_zone",
    "server_group",
    "config_drive",
    "config_drive_format",
    "user_data_digest",
)
# Of the parts of a record what is asked for; stages add to them what they learn.
PART_KEYS = {
    "flavor": ("name", "vcpus", "memory_mb", "disk_gb", "ephemeral_gb", "swap_mb", "extra_specs"),
    "image": ("name", "url", "checksum", "disk_format", "min_disk_gb", "min_ram_mb", "properties"),
    "volumes": ("name", "backend", "size_gb", "boot_index"),
    "ports": (
        "id",
        "network",
        "type",
        "bridge",
        "mtu",
        "vni",
        "port_isolated",
        "mac",
        "fixed_ip",
        "subnets",
        "port_security",
        "security_groups",
        "allowed_address_pairs",
        "tap",
    ),
}
# Asked for only where they say something: a part without them has the digest that it had before there were such words.
OPTIONAL_KEYS = {
    "ports": ("dns_domain", "qos", "segmentation_id", "physical", "create", "router", "floating_ip"),
    "volumes": (
        *("size_mb", "guest_format", "id", "pool", "source_image", "delete_on_termination"),
        *("tag", "device_type", "disk_bus", "cache", "discard", "qos", "encryption", "key"),
    ),
}


def instance_uuid(project: str, name: str) -> str:
    """Return the uuid of the instance; neither a project nor an instance may have "/" in its name."""
    return str(uuid.uuid5(NAMESPACE, f"{project}/{name}"))


def volume_id(project: str, name: str) -> str:
    """Return the uuid of a volume of the catalogue, which is its serial number too; no instance can have the same."""
    return str(uuid.uuid5(NAMESPACE, f"{project}//volume/{name}"))


def ceph_secret_id(conf: str, user: str) -> str:
    """Return the uuid of the secret with which the libvirt of a host opens the disks of a Ceph cluster."""
    return str(uuid.uuid5(NAMESPACE, f"//ceph/{conf}/{user}"))


def volume_secret_id(owner: str, volume: str) -> str:
    """Return the uuid of the secret with which the libvirt of a host opens an encrypted volume of an instance."""
    return str(uuid.uuid5(NAMESPACE, f"//luks/{owner}/{volume}"))


def port_id(project: str, name: str, index: int) -> str:
    """Return the uuid of the instance's port at this place in its list of networks, counted from 0."""
    return str(uuid.uuid5(NAMESPACE, f"{project}/{name}/{index}"))


def mac(port: str) -> str:
    """Return the MAC of the port: QEMU's prefix and three bytes of a digest of the port's id."""
    tail = hashlib.sha256(port.encode()).digest()[:3]
    return ":".join(["52", "54", "00", *(f"{byte:02x}" for byte in tail)])


def tap(port: str) -> str:
    """Return the name of the port's tap: 14 characters, as Nova's; Linux allows 15."""
    return "tap" + port.replace("-", "")[:11]


def bridge(network: str) -> str:
    """Return the bridge of a private network that names none: its own name where that fits into 15 characters."""
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,12}", network):
        return f"vf-{network}"
    return "vf-" + hashlib.sha256(network.encode()).hexdigest()[:12]


def domain(project: str, name: str) -> str:
    """Return the libvirt name of the instance, which is unique on a host."""
    return name if project == DEFAULT_PROJECT else f"{project}-{name}"


def expand(name: str, count: int = 1) -> list[str]:
    """Return the names of the instances of one entry: web-1 to web-3 for three, and the name itself for one."""
    return [name] if count <= 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def hostname(name: str, identity: str) -> str:
    """Return the guest's host name as Nova makes it of the display name (nova.utils.sanitize_hostname).

    Letters of Latin-1 stay as they are. A name of which nothing is left becomes "Server-<uuid>".
    """
    latin = name.encode("latin-1", "ignore").decode("latin-1")[:63]
    dashed = re.sub(r"[ _.]", "-", latin)
    return re.sub(r"[^\w.-]+", "", dashed).lower().strip(".-") or f"Server-{identity}"[:63]


def digest(value: Any) -> str:
    """Return the SHA-256 of the value as canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def user_data_digest(
    identity: str, user_data: str | None, files: list[dict[str, str]] | None, vendor_data: str | None = None
) -> str:
    """Return the digest of what the guest reads at first boot, salted with its uuid, or "" where there is nothing.

    The admin password is left out on purpose: a digest of a short secret can be guessed.
    """
    if not user_data and not files and not vendor_data:
        return ""
    return digest([identity, user_data or "", files or [], *([vendor_data] if vendor_data else [])])


def spec_digest(record: Mapping[str, Any]) -> str:
    """Return the digest of the guest as it is wanted; what stages add to the record does not change it."""
    guest = {key: record.get(key) for key in GUEST_KEYS}
    for key, asked in PART_KEYS.items():
        part = record[key]
        optional = OPTIONAL_KEYS.get(key, ())
        guest[key] = [
            {name: one.get(name) for name in asked} | {name: one[name] for name in optional if one.get(name)}
            for one in (part if isinstance(part, list) else [part])
        ]
    return digest(guest)
