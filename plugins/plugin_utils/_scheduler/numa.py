# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NUMA: whether a guest's cells fit on a host's, and what the host has left afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .guests import Guest, GuestCell
from .names import refuse
from .operators import parse_cpus
from .pci import DeviceRequest, take_devices
from .pinning import pin


@dataclass(frozen=True)
class Pages:
    """The memory pages of one size on one host cell."""

    size_kb: int
    total: int
    used: int
    reserved: int

    def room_kb(self, free: bool) -> int:
        """Return how much memory these pages hold: what is free, or all of it."""
        return (self.total - self.used - self.reserved if free else self.total) * self.size_kb


@dataclass(frozen=True)
class HostCell:
    """One NUMA node of a host and what of it is taken."""

    id: int
    cpuset: frozenset[int]
    pcpuset: frozenset[int]
    memory_mb: int
    cpu_usage: int
    memory_usage_mb: int
    pinned: frozenset[int]
    siblings: tuple[frozenset[int], ...]
    pages: tuple[Pages, ...]
    socket: int | None

    @property
    def free_pcpus(self) -> frozenset[int]:
        """The CPUs for dedicated use that nobody has."""
        return self.pcpuset - self.pinned


@dataclass(frozen=True)
class Fit:
    """The host after the guest came: its cells, its PCI pools, and the host cell of each guest cell."""

    cells: tuple[HostCell, ...]
    pools: list[dict[str, Any]]
    chosen: tuple[int, ...]


def host_cells(record: Mapping[str, Any]) -> tuple[HostCell, ...]:
    """Return the cells of a host record; without a topology there are none."""
    topology = record.get("numa_topology") or {}
    return tuple(_host_cell(record["name"], cell) for cell in topology.get("cells") or ())


def _host_cell(host: str, cell: Mapping[str, Any]) -> HostCell:
    """Return one cell, its missing numbers refused by host and field."""
    for key in ("id", "memory_mb"):
        if not isinstance(cell.get(key), int):
            refuse(f"host {host}: numa_topology: {key} of a cell is {cell.get(key)!r}; gather the host's facts again")
    pcpuset = _cpus(cell.get("pcpuset"))
    cpuset = _cpus(cell.get("cpuset"))
    siblings = tuple(_cpus(group) for group in cell.get("siblings") or ())
    pages = tuple(
        Pages(page["size_kb"], page["total"], page.get("used", 0), page.get("reserved", 0))
        for page in cell.get("mempages") or ()
    )
    return HostCell(
        id=cell["id"],
        cpuset=cpuset,
        pcpuset=pcpuset,
        memory_mb=cell["memory_mb"],
        cpu_usage=cell.get("cpu_usage", 0),
        memory_usage_mb=cell.get("memory_usage_mb", 0),
        pinned=_cpus(cell.get("pinned_cpus")),
        siblings=siblings or tuple(frozenset([cpu]) for cpu in sorted(pcpuset | cpuset)),
        pages=pages,
        socket=cell.get("socket"),
    )


def _cpus(given: Any) -> frozenset[int]:
    """Return CPUs written as a list of numbers or as text."""
    return parse_cpus(given) if isinstance(given, str) else frozenset(given or ())


def has_threads(cells: Sequence[HostCell]) -> bool:
    """Return whether any core of the host has more than one thread."""
    return any(len(group) > 1 for cell in cells for group in cell.siblings)


def fit(
    cells: Sequence[HostCell],
    pools: Sequence[Mapping[str, Any]],
    guest: Guest,
    devices: Sequence[DeviceRequest],
    cpu_ratio: float,
    ram_ratio: float,
    packing: bool,
) -> Fit | None:
    """Return the host after the first choice of cells that holds the guest and its devices, None when none does."""
    if len(cells) < len(guest.cells):
        return None
    ordered = _ordered(cells, pools, guest, devices, packing) if len(cells) > len(guest.cells) else cells
    known: dict[tuple[int, int], HostCell | None] = {}
    for choice in itertools.permutations(ordered, len(guest.cells)):
        after = []
        for position, cell in enumerate(choice):
            key = (cell.id, position)
            if key not in known:
                known[key] = _fit_cell(cell, guest.cells[position], guest, position == 0, cpu_ratio, ram_ratio)
            if known[key] is None:
                break
            after.append(known[key])
        if len(after) < len(choice):
            continue
        chosen = tuple(cell.id for cell in choice)
        left = take_devices(pools, devices, chosen, {cell.id: cell.socket for cell in cells})
        if left is not None:
            changed = {cell.id: cell for cell in after}
            return Fit(tuple(changed.get(cell.id, cell) for cell in cells), left, chosen)
    return None


def _ordered(
    cells: Sequence[HostCell],
    pools: Sequence[Mapping[str, Any]],
    guest: Guest,
    devices: Sequence[DeviceRequest],
    packing: bool,
) -> list[HostCell]:
    """Return the host's cells in the order to try: the emptier first (packing: the fuller), devices considered last."""
    by_memory = sorted(cells, key=lambda cell: cell.memory_mb - cell.memory_usage_mb, reverse=not packing)
    if guest.cpu_policy in (None, "shared"):
        ordered = sorted(by_memory, key=lambda cell: cell.cpu_usage, reverse=packing)
    else:
        ordered = sorted(by_memory, key=lambda cell: len(cell.free_pcpus), reverse=not packing)
    counts: dict[Any, int] = {}
    for pool in pools:
        counts[pool.get("numa_node")] = counts.get(pool.get("numa_node"), 0) + pool["count"]
    return sorted(ordered, key=lambda cell: counts.get(cell.id, 0), reverse=bool(devices))


def _fit_cell(
    cell: HostCell, wanted: GuestCell, guest: Guest, first: bool, cpu_ratio: float, ram_ratio: float
) -> HostCell | None:
    """Return the host cell with the guest cell on it, or None when it does not fit."""
    page_size = _page_size(cell, wanted, guest)
    if page_size is None:
        return None
    shared = guest.cpu_policy != "dedicated"
    reserved = 1 if guest.isolated_emulator and first else 0
    pinned = frozenset()
    if shared and len(wanted.cpuset) > len(cell.cpuset):
        return None
    if guest.cpu_policy in ("dedicated", "mixed"):
        if len(wanted.pcpuset) + reserved > len(cell.free_pcpus):
            return None
        pinned = pin(
            cell.siblings,
            cell.free_pcpus,
            len(wanted.pcpuset),
            reserved,
            guest.thread_policy,
            cell.pcpuset == cell.cpuset,
        )
        if pinned is None:
            return None
    if shared:
        if cell.cpu_usage + len(wanted.cpuset) > len(cell.cpuset) * cpu_ratio:
            return None
        if cell.memory_usage_mb + wanted.memory_mb > cell.memory_mb * ram_ratio:
            return None
    return _taken(cell, wanted, page_size, pinned)


def _page_size(cell: HostCell, wanted: GuestCell, guest: Guest) -> int | None:
    """Return the page size that the guest cell gets (0 where the host tells none), None when memory is short."""
    needed = wanted.memory_mb * 1024
    overcommits = guest.cpu_policy in (None, "shared")
    sizes = sorted((pages.size_kb for pages in cell.pages), reverse=True)
    if guest.page_size:
        choices = {"small": sizes[-1:], "large": sizes[:-1], "any": sizes}.get(str(guest.page_size), [guest.page_size])
        return next((size for size in choices if _holds(cell, size, needed, free=True)), None)
    if sizes:
        return sizes[-1] if _holds(cell, sizes[-1], needed, free=not overcommits) else None
    room = cell.memory_mb if overcommits else cell.memory_mb - cell.memory_usage_mb
    return 0 if wanted.memory_mb <= room else None


def _holds(cell: HostCell, size_kb: Any, needed_kb: int, free: bool) -> bool:
    """Return whether the pages of one size hold the memory without a remainder."""
    return any(
        pages.size_kb == size_kb and needed_kb <= pages.room_kb(free) and needed_kb % size_kb == 0
        for pages in cell.pages
    )


def _taken(cell: HostCell, wanted: GuestCell, page_size: int, pinned: frozenset[int]) -> HostCell:
    """Return the host cell with what the guest cell takes counted."""
    return replace(
        cell,
        cpu_usage=cell.cpu_usage + len(wanted.cpuset),
        memory_usage_mb=cell.memory_usage_mb + wanted.memory_mb,
        pinned=cell.pinned | pinned,
        pages=tuple(
            replace(pages, used=pages.used + wanted.memory_mb * 1024 // pages.size_kb)
            if pages.size_kb == page_size
            else pages
            for pages in cell.pages
        ),
    )
