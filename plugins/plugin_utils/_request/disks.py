# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of an instance, in Nova's order of devices: root, ephemeral, swap. Private to this collection."""

from __future__ import annotations

from typing import Any

# What Nova puts on an ephemeral disk, by the image's os_type; where none is said, the guest is taken for a Linux.
FILE_SYSTEMS = {"windows": "vfat"}


def local_disks(flavor: dict[str, Any], image: dict[str, Any], backend: str) -> list[dict[str, Any]]:
    """Return the disks that the flavor gives an instance and that go with it."""
    found = [{"name": "root", "backend": backend, "size_gb": flavor["disk_gb"], "boot_index": 0}]
    if flavor["ephemeral_gb"]:
        kind = FILE_SYSTEMS.get(str(image["properties"].get("os_type")), "ext4")
        found.append(blank("ephemeral0", backend, kind, size_gb=flavor["ephemeral_gb"]))
    if flavor["swap_mb"]:
        found.append(blank("swap", backend, "swap", size_gb=0, size_mb=flavor["swap_mb"]))
    return found


def blank(name: str, backend: str, guest_format: str, **size: int) -> dict[str, Any]:
    """Return a disk that no image fills."""
    return {"name": name, "backend": backend, **size, "boot_index": None, "guest_format": guest_format}
