# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domain document of an instance: Nova's default guest, element by element. Private to this collection.

The order and the defaults are those of Nova 34 (nova/virt/libvirt/driver.py, _get_guest_config). What differs:
ports are our own taps (`managed='no'`), the config drive is a virtio disk (cloud kernels have no SATA) and the guest
agent's channel is there unless the image says hw_qemu_guest_agent=no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._model.errors import ItemError
from .._model.instance import Instance
from .devices import add_devices
from .metadata import nova_element, our_element
from .tree import add, etree, need_lxml, serialize

DEFAULT_MACHINE = {"x86_64": "pc", "aarch64": "virt"}
# host-passthrough and host-model are KVM's; emulated, a model fixed by QEMU's version migrates and host-model does not.
CPU_MODES = {"kvm": "host-model", "qemu": "maximum"}
TIMERS = ({"name": "pit", "tickpolicy": "delay"}, {"name": "rtc", "tickpolicy": "catchup"})


@dataclass(frozen=True)
class Guest:
    """How this host builds its guests.

    `state_dir` is where the instances live, `cache` libvirt's cache mode of the disks, `tb_cache_mb` the size of
    QEMU's translation cache when it emulates (0: QEMU's own choice, up to 1 GiB).
    """

    virt_type: str = "kvm"
    state_dir: str = "/var/lib/virtfleet"
    arch: str = "x86_64"
    cache: str = "none"
    tb_cache_mb: int = 0


def _add_sysinfo(root: Any, instance: Instance) -> None:
    """Write what the guest reads from its SMBIOS tables."""
    system = add(add(root, "sysinfo", type_="smbios"), "system")
    add(system, "entry", "virtfleet", name="manufacturer")
    add(system, "entry", "virtfleet.compute", name="product")
    add(system, "entry", instance.uuid, name="serial")
    add(system, "entry", instance.uuid, name="uuid")
    add(system, "entry", "Virtual Machine", name="family")


def _add_os(root: Any, instance: Instance, guest: Guest) -> None:
    """Write the machine and what it boots from."""
    node = add(root, "os")
    machine = instance.image.properties.get("hw_machine_type") or DEFAULT_MACHINE.get(guest.arch)
    add(node, "type", "hvm", arch=guest.arch, machine=machine)
    add(node, "boot", dev="hd")
    add(node, "smbios", mode="sysinfo")


def _add_features(root: Any, guest: Guest) -> None:
    """Write acpi, apic and vmcoreinfo, and the translation cache of an emulated guest."""
    node = add(root, "features")
    add(node, "acpi")
    add(node, "apic")
    add(node, "vmcoreinfo", state="on")
    if guest.virt_type == "qemu" and guest.tb_cache_mb:
        add(add(node, "tcg"), "tb-cache", guest.tb_cache_mb, unit="MiB")


def _add_clock(root: Any, instance: Instance) -> None:
    """Write Nova's timers: lost ticks are delayed (pit) or caught up (rtc)."""
    windows = instance.image.properties.get("os_type") == "windows"
    node = add(root, "clock", offset="localtime" if windows else "utc")
    for timer in TIMERS:
        add(node, "timer", **timer)
    add(node, "timer", name="hpet", present="no")


def _add_cpu(root: Any, instance: Instance, guest: Guest) -> None:
    """Write the CPU and its topology: as many sockets as vCPUs."""
    node = add(root, "cpu", mode=CPU_MODES[guest.virt_type])
    add(node, "topology", sockets=instance.flavor.vcpus, dies=1, cores=1, threads=1)


def domain_xml(instance: Instance, guest: Guest) -> str:
    """Return the domain document of an instance on a host; raises ItemError for what XML or the tables cannot say."""
    need_lxml()
    if guest.virt_type not in CPU_MODES:
        raise ItemError(f"virt_type is '{guest.virt_type}': it must be kvm or qemu", fault="request")
    root = etree.Element("domain", type=guest.virt_type)
    add(root, "uuid", instance.uuid)
    add(root, "name", instance.domain)
    add(root, "memory", instance.flavor.memory_mb * 1024, unit="KiB")
    add(root, "vcpu", instance.flavor.vcpus)
    add(root, "iothreads", 1)
    metadata = add(root, "metadata")
    metadata.append(nova_element(instance))
    metadata.append(our_element(instance))
    _add_sysinfo(root, instance)
    _add_os(root, instance, guest)
    _add_features(root, guest)
    _add_cpu(root, instance, guest)
    _add_clock(root, instance)
    add_devices(root, instance, guest)
    return serialize(root)
