# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a guest sees its config drive: one rule for who makes it and who plugs it. Private to this collection."""

from __future__ import annotations

from typing import Any

from .errors import ItemError

KINDS = ("nocloud", "openstack", "none")
FORMATS = ("iso9660", "vfat")
BUSES = ("virtio", "scsi", "sata", "ide", "usb")


def bus(properties: dict[str, Any], asked: str = "auto") -> str:
    """Return the bus of the drive: the image's hw_cdrom_bus, else what is asked for, else one the kernel surely has.

    That is the bus of its root disk where the drive can be there too; beside a SATA, IDE or USB disk it is the CD-ROM
    of the machine. Cloud kernels have no SATA at all, so a CD-ROM of a q35 machine is nothing to them.
    """
    wanted = properties.get("hw_cdrom_bus")
    if wanted is not None and wanted not in BUSES:
        raise ItemError(f"hw_cdrom_bus is {wanted!r}, but must be one of {', '.join(BUSES)}", fault="request")
    if wanted or asked != "auto":
        return wanted or asked
    disk = properties.get("hw_disk_bus", "virtio")
    if disk in ("virtio", "scsi"):
        return disk
    return "sata" if "q35" in str(properties.get("hw_machine_type", "")) else "ide"


def device(drive_bus: str, drive_format: str) -> str:
    """Return libvirt's word for the device: a CD-ROM holds an ISO, and no virtio disk is one."""
    return "disk" if drive_bus == "virtio" or drive_format == "vfat" else "cdrom"
