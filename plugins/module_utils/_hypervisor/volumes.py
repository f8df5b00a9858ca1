# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that come, go and grow while their guest runs. Private to this collection.

A disk is known by its serial number, which is the volume's id: its device name may differ between what runs and what
is defined.
"""

from __future__ import annotations

from typing import Any

from .._model.domain import Plan
from .._model.volume import Volume
from .._xml import disks as xml
from . import hotplug
from .connection import failing_to, libvirt

GIB = 1 << 30


def live_xml(domain: Any) -> str:
    """Return the document of the guest as it runs."""
    with failing_to(f"read domain {domain.name()}"):
        return domain.XMLDesc(0)


def attach(domain: Any, volume: Volume, cache: str) -> None:
    """The running guest has the volume; that it has it already is no error."""
    live = live_xml(domain)
    if xml.attached(live, volume.id) is None:
        with failing_to(f"attach volume {volume.name} to {domain.name()}"):
            domain.attachDeviceFlags(xml.attachment(volume, live, "virtio", cache), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def detach(domain: Any, volume: Volume, cache: str) -> None:
    """The running guest has let go of the volume; raises ItemError when it does not in time."""
    doing = f"detach volume {volume.name} from {domain.name()}"
    disk = f"volume {volume.name}"
    hotplug.detach(domain, lambda: xml.attached(live_xml(domain), volume.id), doing, disk, "unmount it in the guest")


def resize(domain: Any, volume: Volume, cache: str) -> None:
    """The running guest sees the volume's new size, and so does whatever keeps it: QEMU makes it larger itself."""
    disk = xml.attached(live_xml(domain), volume.id)
    if disk is not None:
        with failing_to(f"extend volume {volume.name} of {domain.name()}"):
            name = disk.find("target").get("dev")
            domain.blockResize(name, volume.size_gb * GIB, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


STEPS = {"attach": attach, "detach": detach, "resize": resize}
REVERSE = {"attach": detach, "detach": attach}


def take(domain: Any, plan: Plan, steps: list[str], cache: str) -> None:
    """Take the steps; when one fails, the guest has the volumes it had before."""
    hotplug.take(domain, steps, hotplug.known(plan, "volumes"), cache, STEPS, REVERSE)
