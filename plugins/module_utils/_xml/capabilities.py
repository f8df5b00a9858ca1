# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt says of a host: its CPU, NUMA cells, and which guests its QEMU runs. Private to this collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .tree import etree, parse


@dataclass(frozen=True)
class Capabilities:
    """A host as virConnectGetCapabilities tells it; `supported` are Nova's triples of architecture, type and mode."""

    arch: str
    cpu_xml: str
    model: str
    vendor: str
    features: tuple[str, ...]
    topology: dict[str, int]
    cells: tuple[dict[str, Any], ...]
    supported: tuple[tuple[str, str, str], ...]
    machines: tuple[str, ...]
    emulator: str


@dataclass(frozen=True)
class GuestCapabilities:
    """What guests of one type get on a host, as virConnectGetDomainCapabilities tells it."""

    cpu_xml: str = ""
    machine: str = ""
    buses: tuple[str, ...] = ()
    screens: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


def _cell(node: Any) -> dict[str, Any]:
    """Return one NUMA cell: its memory in MiB, its CPUs, those that share a core, and its huge pages."""
    cpus = list(node.iterfind("cpus/cpu"))
    shared = sorted({cpu.get("siblings") for cpu in cpus if not (cpu.get("siblings") or "1").isdigit()})
    pages = [{"size_kb": int(one.get("size")), "total": int(one.text)} for one in node.iterfind("pages[@unit='KiB']")]
    return {
        "id": int(node.get("id")),
        "memory_mb": int(node.findtext("memory") or 0) // 1024,
        "cpuset": sorted({int(cpu.get("id")) for cpu in cpus}),
        "siblings": shared,
        "mempages": [one for one in pages if one["total"]],
    }


def _supported(root: Any) -> tuple[tuple[str, str, str], ...]:
    """Return every (architecture, hypervisor, mode) a guest may have."""
    return tuple(
        (guest.find("arch").get("name"), domain.get("type"), guest.findtext("os_type"))
        for guest in root.iterfind("guest")
        for domain in guest.iterfind("arch/domain")
    )


def capabilities(text: str) -> Capabilities:
    """Return the capabilities of a host."""
    root = parse(text)
    cpu = root.find("host/cpu")
    arch = cpu.findtext("arch") if cpu is not None else root.findtext("host/arch") or ""
    topology = cpu.find("topology") if cpu is not None else None
    own = root.find(f"guest/arch[@name='{arch}']")
    machines = {node.text for node in own.iterfind("machine")} if own is not None else set()
    return Capabilities(
        arch=arch,
        cpu_xml=etree.tostring(cpu, encoding="unicode") if cpu is not None else "",
        model=(cpu.findtext("model") or "") if cpu is not None else "",
        vendor=(cpu.findtext("vendor") or "") if cpu is not None else "",
        features=features(cpu),
        topology={key: int(value) for key, value in topology.items()} if topology is not None else {},
        cells=tuple(_cell(node) for node in root.iterfind("host/topology/cells/cell")),
        supported=_supported(root),
        machines=tuple(sorted(machines)),
        emulator=(own.findtext("emulator") or "") if own is not None else "",
    )


def features(cpu: Any) -> tuple[str, ...]:
    """Return the features that a CPU has, without those it is said not to have."""
    if cpu is None:
        return ()
    return tuple(sorted(one.get("name") for one in cpu.iterfind("feature") if one.get("policy") != "disable"))


def cpu_features(text: str) -> tuple[str, ...]:
    """Return the features of a CPU document."""
    return features(parse(text))


def guest_capabilities(text: str) -> GuestCapabilities:
    """Return what guests get: the CPU of mode host-model, what its model has and they do not, and the devices."""
    root = parse(text)
    mode = root.find("cpu/mode[@name='host-model'][@supported='yes']")
    cpu_xml, disabled = "", ()
    if mode is not None:
        disabled = tuple(one.get("name") for one in mode.iterfind("feature[@policy='disable']"))
        cpu = etree.Element("cpu")
        etree.SubElement(cpu, "arch").text = root.findtext("arch")
        cpu.extend(mode)
        cpu_xml = etree.tostring(cpu, encoding="unicode")
    buses = root.iterfind("devices/disk/enum[@name='bus']/value")
    screens = root.iterfind("devices/video/enum[@name='modelType']/value")
    return GuestCapabilities(
        cpu_xml=cpu_xml,
        machine=root.findtext("machine") or "",
        buses=tuple(one.text for one in buses),
        screens=tuple(one.text for one in screens),
        disabled=disabled,
    )
