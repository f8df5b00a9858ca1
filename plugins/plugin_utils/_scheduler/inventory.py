# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement's inventory: what every host has of one resource class, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

from .arrays import np
from .hosts import Fleet
from .names import check_names, refuse
from .numa import host_cells

_FIELDS = ("total", "reserved", "allocation_ratio", "min_unit", "max_unit", "step_size", "used")
# Resource class -> the columns of a host record for total, reserved, ratio and used.
_COLUMNS = {
    "VCPU": ("vcpus", "reserved_vcpus", "cpu_allocation_ratio", "vcpus_used"),
    "MEMORY_MB": ("memory_mb", "reserved_memory_mb", "ram_allocation_ratio", "memory_mb_used"),
    "DISK_GB": ("disk_gb", "reserved_disk_gb", "disk_allocation_ratio", "disk_gb_used"),
}


@dataclass(frozen=True)
class Inventory:
    """One resource class on all hosts. `room` is (total - reserved) * allocation ratio."""

    total: np.ndarray
    room: np.ndarray
    min_unit: np.ndarray
    max_unit: np.ndarray
    step_size: np.ndarray
    used: np.ndarray

    def gives(self, amount: int) -> np.ndarray:
        """Return where one instance may take this amount, however much is free."""
        return (self.min_unit <= amount) & (amount <= self.max_unit) & (amount % self.step_size == 0)


def inventory_of(fleet: Fleet, resource_class: str) -> Inventory:
    """Return the inventory of a class; a host's own `inventory` overrides what follows from its other fields."""
    return fleet.once(("inventory", resource_class), lambda: _inventory(fleet, resource_class))


def _inventory(fleet: Fleet, resource_class: str) -> Inventory:
    """Return the arrays, built from the records."""
    columns = _defaults(fleet, resource_class)
    given = fleet.column("inventory")
    rows = [row for row, one in enumerate(given) if one and resource_class in one]
    for row in rows:
        stated = given[row][resource_class]
        check_names(f"host {fleet.names[row]}: inventory {resource_class}: field", stated, _FIELDS)
        if "total" in stated and "max_unit" not in stated:
            stated = {**stated, "max_unit": stated["total"]}
        for key, value in stated.items():
            if not isinstance(value, (int, float)) or value < 0:
                refuse(f"host {fleet.names[row]}: inventory {resource_class} {key} is {value!r}; give a number")
            columns[key][row] = value
    room = (columns["total"] - columns["reserved"]) * columns["allocation_ratio"]
    steps = np.maximum(columns["step_size"], 1)
    return Inventory(columns["total"], room, columns["min_unit"], columns["max_unit"], steps, columns["used"])


def _defaults(fleet: Fleet, resource_class: str) -> dict[str, np.ndarray]:
    """Return the columns of a class before overrides: max_unit is the physical total, as with Nova's libvirt driver."""
    size = len(fleet.names)
    columns = {key: np.zeros(size) for key in ("total", "reserved", "used")}
    columns["allocation_ratio"] = np.ones(size)
    if resource_class in _COLUMNS:
        names = _COLUMNS[resource_class]
        for key, name in zip(("total", "reserved", "allocation_ratio", "used"), names, strict=True):
            columns[key] = fleet.columns[name].copy()
    elif resource_class == "PCPU":
        _count_dedicated(fleet, columns)
    columns["max_unit"] = columns["total"].copy()
    columns["min_unit"], columns["step_size"] = np.ones(size), np.ones(size)
    return columns


def _count_dedicated(fleet: Fleet, columns: dict[str, np.ndarray]) -> None:
    """Count the CPUs for dedicated use of the hosts that tell their NUMA cells.

    A cell with one set for shared and dedicated use gives dedicated CPUs out of VCPU, as Nova's fallback has it.
    """
    for row, topology in enumerate(fleet.column("numa_topology")):
        for cell in host_cells(fleet.records[row]) if topology else ():
            if cell.pcpuset != cell.cpuset:
                columns["total"][row] += len(cell.pcpuset)
                columns["used"][row] += len(cell.pinned)
