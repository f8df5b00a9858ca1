# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of a guest. Private to this collection."""

from __future__ import annotations

import posixpath
from typing import Any

from .._model import config_drive as drive
from .._model import qos
from .._model.errors import ItemError
from .._model.instance import Instance
from .._model.port import Port
from .._model.volume import Volume
from .disks import MAX_DISKS, add_disk, flavor_qos, target
from .tree import add, etree, need_lxml, parse, serialize

# Image property -> what it may say, the first being Nova's default. Nova's names and values.
PROPERTIES = {
    "hw_disk_bus": ("virtio", "scsi", "sata", "ide", "usb"),
    "hw_vif_model": ("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3"),
    "hw_video_model": ("virtio", "vga", "cirrus", "vmvga", "qxl", "bochs", "none"),
    "hw_rng_model": ("virtio",),
    "hw_scsi_model": ("virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078"),
    "hw_pointer_model": ("usbtablet", "ps2mouse"),
}
YES = {True, "yes", "true", "True", "1", "on"}
NO = {False, "no", "false", "False", "0", "off"}


def chosen(instance: Instance, name: str) -> str:
    """Return the value of an image property, or Nova's default."""
    allowed = PROPERTIES[name]
    value = instance.image.properties.get(name, allowed[0])
    if value not in allowed:
        raise ItemError(
            f"image {instance.image.name} has {name}='{value}': this collection knows {', '.join(allowed)}",
            fault="request",
        )
    return value


def switched(instance: Instance, name: str, default: bool) -> bool:
    """Return an image property that is yes or no."""
    value = instance.image.properties.get(name, default)
    if value not in YES | NO:
        raise ItemError(f"image {instance.image.name} has {name}='{value}': it must be yes or no", fault="request")
    return value in YES


def instance_dir(state_dir: str, instance: Instance) -> str:
    """Return the directory of everything an instance has on its host."""
    return posixpath.join(state_dir, "instances", instance.uuid)


def console_path(state_dir: str, instance: Instance) -> str:
    """Return the file that virtlogd writes the serial console to."""
    return posixpath.join(instance_dir(state_dir, instance), "console.log")


def placed_disks(instance: Instance, state_dir: str) -> list[tuple[Volume, str, str]]:
    """Return each volume with its path and format in boot order; what a skipped stage left is where the layout says."""
    ordered = sorted(instance.volumes, key=lambda one: one.boot_index if one.boot_index is not None else MAX_DISKS)
    home = instance_dir(state_dir, instance)
    return [
        (one, one.path or posixpath.join(home, f"{one.name}.{one.backend}"), one.format or one.backend)
        for one in ordered
    ]


def disks(instance: Instance, state_dir: str) -> list[tuple[str, str]]:
    """Return (path, format) of each disk in boot order."""
    return [(path, kind) for _volume, path, kind in placed_disks(instance, state_dir)]


def config_drive(instance: Instance, state_dir: str) -> str:
    """Return the path of the config drive, or an empty string."""
    if instance.config_drive == "none":
        return ""
    return instance.config_drive_path or posixpath.join(instance_dir(state_dir, instance), "config.iso")


def bus_of(volume: Volume, instance: Instance) -> str:
    """Return the bus of a disk: its own, or that of all disks of the image; a virtio disk cannot be a CD-ROM."""
    bus = volume.disk_bus or chosen(instance, "hw_disk_bus")
    if volume.device_type != "cdrom" or bus != "virtio":
        return bus
    return drive.bus({**instance.image.properties, "hw_disk_bus": "ide"})


def _add_disks(devices: Any, instance: Instance, guest: Any) -> None:
    """Write the volumes in boot order, and the config drive, read-only: the last of the virtio names, as in Nova.

    There it is in nobody's way when disks come and go.
    """
    used: set[str] = set()
    qos = flavor_qos(instance)
    for volume, path, kind in placed_disks(instance, guest.state_dir):
        bus = bus_of(volume, instance)
        how = {"bus": bus, "target": target(bus, used), "owner": instance.uuid, "cache": guest.cache, "qos": qos}
        add_disk(devices, volume, path, kind, **how)
    path = config_drive(instance, guest.state_dir)
    if path:
        bus = drive.bus(instance.image.properties, instance.config_drive_bus or "auto")
        disk = add(devices, "disk", type_="file", device=drive.device(bus, instance.config_drive_format))
        add(disk, "driver", name="qemu", type_="raw", cache=guest.cache)
        add(disk, "source", file=path)
        add(disk, "target", dev=target(bus, used, last=bus == "virtio"), bus=bus)
        add(disk, "readonly")
    if devices.xpath("disk/target[@bus='scsi']"):
        add(devices, "controller", type_="scsi", index=0, model=chosen(instance, "hw_scsi_model"))


def add_card(devices: Any, port: Port, instance: Instance) -> Any:
    """Write the card of a port on the tap that stage port has made; without that tap the guest does not start."""
    switched(instance, "hw_vif_multiqueue_enabled", False)
    queues = qos.queues({"flavor": vars(instance.flavor), "image": vars(instance.image)})
    card = add(devices, "interface", type_="ethernet")
    add(card, "mac", address=port.mac)
    add(card, "target", dev=port.tap, managed="no")
    add(card, "model", type_=chosen(instance, "hw_vif_model"))
    if queues > 1:
        add(card, "driver", name="qemu", queues=queues)
    add(card, "mtu", size=port.mtu)
    add(card, "alias", name=f"ua-{port.id}")
    return card


def card(port: Port, instance: Instance) -> str:
    """Return the document of a card that a running guest is to get."""
    need_lxml()
    return serialize(add_card(etree.Element("devices"), port, instance))


def card_on(live: str, tap: str) -> Any:
    """Return the card of a running guest that is on this tap, or None."""
    cards = parse(live).iterfind("devices/interface")
    return next((one for one in cards if one.find("target") is not None and one.find("target").get("dev") == tap), None)


def _add_interfaces(devices: Any, instance: Instance) -> None:
    """Write one card a port."""
    for port in instance.ports:
        add_card(devices, port, instance)


def _add_console(devices: Any, instance: Instance, guest: Any) -> None:
    """Write the serial console, with a log that starts anew at each start of the guest."""
    serial = add(devices, "serial", type_="pty")
    add(serial, "log", file=console_path(guest.state_dir, instance), append="off")
    add(serial, "target", port=0)


def _add_agent(devices: Any, instance: Instance) -> None:
    """Write the channel of the guest agent unless the image says that it has none."""
    if switched(instance, "hw_qemu_guest_agent", True):
        add(add(devices, "channel", type_="unix"), "target", type_="virtio", name="org.qemu.guest_agent.0")


def _add_screen(devices: Any, instance: Instance) -> None:
    """Write the tablet, VNC on the loopback address and the video card."""
    if chosen(instance, "hw_pointer_model") == "usbtablet":
        add(devices, "input", type_="tablet", bus="usb")
    graphics = add(devices, "graphics", type_="vnc", autoport="yes", listen="127.0.0.1")
    add(graphics, "listen", type_="address", address="127.0.0.1")
    add(add(devices, "video"), "model", type_=chosen(instance, "hw_video_model"))


def add_devices(root: Any, instance: Instance, guest: Any) -> None:
    """Write every device of the guest."""
    devices = add(root, "devices")
    _add_disks(devices, instance, guest)
    _add_interfaces(devices, instance)
    _add_console(devices, instance, guest)
    _add_agent(devices, instance)
    _add_screen(devices, instance)
    rng = add(devices, "rng", model=chosen(instance, "hw_rng_model"))
    add(rng, "backend", "/dev/urandom", model="random")
    balloon = add(devices, "memballoon", model="virtio", autodeflate="on", freePageReporting="on")
    add(balloon, "stats", period=10)
