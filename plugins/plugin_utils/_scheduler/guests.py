# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NUMA topology that a guest asks for: its cells, dedicated CPUs and page size, from flavor and image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .names import refuse, refuse_unknown
from .operators import is_true, parse_cpus

CPU_POLICIES = ("dedicated", "shared", "mixed")
THREAD_POLICIES = ("prefer", "isolate", "require")
_UNITS = {"KB": 1, "KIB": 1, "MB": 1024, "MIB": 1024, "GB": 1024**2, "GIB": 1024**2}


@dataclass(frozen=True)
class GuestCell:
    """One guest NUMA node: shared CPUs, dedicated CPUs and memory."""

    cpuset: frozenset[int]
    pcpuset: frozenset[int]
    memory_mb: int


@dataclass(frozen=True)
class Guest:
    """The topology. `page_size` is small, large, any or a number of KiB; None when none was asked for."""

    cells: tuple[GuestCell, ...]
    cpu_policy: str | None
    thread_policy: str | None
    page_size: str | int | None
    isolated_emulator: bool

    @property
    def dedicated(self) -> int:
        """How many CPUs of the guest are dedicated."""
        return sum(len(cell.pcpuset) for cell in self.cells)

    @property
    def pinned(self) -> int:
        """How many host CPUs are taken for it alone: the dedicated ones and that of isolated emulator threads."""
        return self.dedicated + (1 if self.isolated_emulator and self.dedicated else 0)


def guest_topology(
    name: str, vcpus: int, memory_mb: int, specs: Mapping[str, str], properties: Mapping[str, Any]
) -> Guest | None:
    """Return the topology, or None when nothing asks for one: no nodes, no page size, no dedicated CPUs."""
    policy = _cpu_policy(name, vcpus, specs, properties)
    threads = _thread_policy(name, specs, properties)
    pages = _page_size(name, specs, properties)
    nodes = _asked(specs, properties, "numa_nodes")
    if not str(nodes or 1).isdigit() or int(nodes or 1) < 1:
        refuse(f"request {name}: hw:numa_nodes is {nodes}; give a whole number of at least 1")
    isolated = specs.get("hw:emulator_threads_policy") == "isolate"
    if policy in (None, "shared"):
        if threads or isolated:
            refuse(f"request {name}: a CPU thread or emulator policy needs hw:cpu_policy=dedicated or mixed")
        if not nodes and not pages and "hw:pmem" not in specs:
            return None
    dedicated = _dedicated(name, policy, vcpus, specs, properties)
    cells = _cells(name, int(nodes or 1), vcpus, memory_mb, dedicated, specs, properties)
    return Guest(cells, policy, threads, pages, isolated)


def encrypts_memory(specs: Mapping[str, str], properties: Mapping[str, Any]) -> bool:
    """Return whether the guest's memory is encrypted, which takes one of the host's few contexts."""
    return is_true(_asked(specs, properties, "mem_encryption"))


def _asked(specs: Mapping[str, str], properties: Mapping[str, Any], feature: str) -> Any:
    """Return what the flavor says of a feature, else what the image says."""
    return specs.get(f"hw:{feature}") or properties.get(f"hw_{feature}")


def _cpu_policy(name: str, vcpus: int, specs: Mapping[str, str], properties: Mapping[str, Any]) -> str | None:
    """Return how CPUs are taken; a flavor's dedicated wins, and an image may not ask for more than its flavor."""
    flavor, image = specs.get("hw:cpu_policy"), properties.get("hw_cpu_policy")
    for given in (flavor, image):
        if given and given not in CPU_POLICIES:
            refuse_unknown(f"request {name}: CPU policy", given, CPU_POLICIES)
    if (flavor, image) in (("mixed", "dedicated"), ("shared", "dedicated"), ("shared", "mixed")):
        refuse(f"request {name}: image asks for hw_cpu_policy={image}, the flavor allows only {flavor}")
    pcpus = sum(int(value) for key, value in specs.items() if key.startswith("resources") and key.endswith(":PCPU"))
    if pcpus and (flavor or image):
        refuse(f"request {name}: resources:PCPU and a CPU policy exclude each other; use one or the other")
    isolated = specs.get("hw:emulator_threads_policy") == "isolate"
    if pcpus and pcpus != vcpus + isolated:
        refuse(f"request {name}: resources:PCPU is {pcpus}, the flavor's {vcpus} vCPUs need {vcpus + isolated}")
    return "dedicated" if pcpus else flavor or image


def _thread_policy(name: str, specs: Mapping[str, str], properties: Mapping[str, Any]) -> str | None:
    """Return what dedicated CPUs do with the other threads of their cores; the hyper-threading trait says it too."""
    flavor, image = specs.get("hw:cpu_thread_policy"), properties.get("hw_cpu_thread_policy")
    for given in (flavor, image):
        if given and given not in THREAD_POLICIES:
            refuse_unknown(f"request {name}: CPU thread policy", given, THREAD_POLICIES)
    if flavor not in (None, "prefer") and image and image != flavor:
        refuse(f"request {name}: flavor says hw:cpu_thread_policy={flavor}, image says {image}; remove one")
    if specs.get("hw:cpu_policy") or properties.get("hw_cpu_policy"):
        trait = specs.get("trait:HW_CPU_HYPERTHREADING")
        if not (flavor or image) and trait:
            return {"required": "require", "forbidden": "isolate"}.get(trait)
    return image if flavor in (None, "prefer") and image else flavor


def _page_size(name: str, specs: Mapping[str, str], properties: Mapping[str, Any]) -> str | int | None:
    """Return the asked page size; an image may only choose where the flavor leaves a choice."""
    flavor, image = specs.get("hw:mem_page_size"), properties.get("hw_mem_page_size")
    if image and flavor not in ("any", "large"):
        refuse(f"request {name}: image asks for hw_mem_page_size={image}, but its flavor says {flavor or 'nothing'}")
    asked = str(image or flavor or "").strip()
    if not asked or asked in ("any", "large", "small"):
        return asked or None
    number = asked.rstrip("BKMGibkmg")
    unit = asked[len(number) :].upper()
    if not number.isdigit() or (unit and unit not in _UNITS):
        refuse(f"request {name}: page size {asked} must be small, large, any or a size such as 2048 or 1GB")
    return int(number) * _UNITS.get(unit, 1)


def _dedicated(
    name: str, policy: str | None, vcpus: int, specs: Mapping[str, str], properties: Mapping[str, Any]
) -> frozenset[int]:
    """Return which CPUs of the guest are dedicated."""
    every = frozenset(range(vcpus))
    if policy == "dedicated":
        return every
    if policy != "mixed":
        return frozenset()
    mask = specs.get("hw:cpu_dedicated_mask")
    if not mask and is_true(specs.get("hw:cpu_realtime")):
        mask = properties.get("hw_cpu_realtime_mask") or specs.get("hw:cpu_realtime_mask")
    if not mask:
        refuse(f"request {name}: hw:cpu_policy=mixed needs hw:cpu_dedicated_mask or a realtime mask")
    chosen = parse_cpus(f"0-{vcpus - 1},{mask}" if mask.strip().startswith("^") else mask)
    if not chosen or not chosen < every:
        refuse(f"request {name}: mask {mask} must leave some, and not all, of the {vcpus} vCPUs dedicated")
    return chosen


def _cells(
    name: str,
    nodes: int,
    vcpus: int,
    memory_mb: int,
    dedicated: frozenset[int],
    specs: Mapping[str, str],
    properties: Mapping[str, Any],
) -> tuple[GuestCell, ...]:
    """Return the guest's cells: as written for each node, else equal shares."""
    cpus = _per_node(specs, properties, "numa_cpus")
    memory = _per_node(specs, properties, "numa_mem")
    if not cpus and not memory:
        if vcpus % nodes or memory_mb % nodes:
            refuse(f"request {name}: {vcpus} vCPUs and {memory_mb} MiB cannot be shared equally by {nodes} NUMA nodes")
        share = vcpus // nodes
        shares = [frozenset(range(node * share, (node + 1) * share)) for node in range(nodes)]
        sizes = [memory_mb // nodes] * nodes
    else:
        if len(cpus) != nodes or len(memory) != nodes:
            refuse(f"request {name}: hw:numa_cpus and hw:numa_mem must be given for each of the {nodes} NUMA nodes")
        shares, sizes = [parse_cpus(text) for text in cpus], [int(text) for text in memory]
        if sorted(cpu for share in shares for cpu in share) != list(range(vcpus)):
            refuse(f"request {name}: hw:numa_cpus must name each of the {vcpus} vCPUs once")
        if sum(sizes) != memory_mb:
            refuse(f"request {name}: hw:numa_mem adds up to {sum(sizes)} MiB, the flavor has {memory_mb}")
    return tuple(
        GuestCell(share - dedicated, share & dedicated, size) for share, size in zip(shares, sizes, strict=True)
    )


def _per_node(specs: Mapping[str, str], properties: Mapping[str, Any], feature: str) -> list[str]:
    """Return a feature that is written per node (`hw:numa_cpus.0`), in the order of the nodes."""
    for source, prefix in ((specs, f"hw:{feature}."), (properties, f"hw_{feature}.")):
        values: list[str] = []
        while f"{prefix}{len(values)}" in source:
            values.append(str(source[f"{prefix}{len(values)}"]))
        if values:
            return values
    return []
