# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has, what is promised of it, and whether one more fits: Placement's rule. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._model.errors import ItemError
from .._model.host import unpacked

# Class -> a host record's total, ratio and Nova's default of it, reserve and Nova's default of it.
CLASSES = {
    "VCPU": ("vcpus", "cpu_allocation_ratio", 4.0, "reserved_vcpus", 0),
    "MEMORY_MB": ("memory_mb", "ram_allocation_ratio", 1.0, "reserved_memory_mb", 512),
    "DISK_GB": ("disk_gb", "disk_allocation_ratio", 1.0, "reserved_disk_gb", 0),
}


@dataclass(frozen=True)
class Inventory:
    """What a host has of one resource class, in Placement's words; max_unit is the physical total."""

    total: float
    reserved: float
    allocation_ratio: float
    min_unit: int
    max_unit: float
    step_size: int

    @property
    def capacity(self) -> float:
        """Return how much may be promised."""
        return (self.total - self.reserved) * self.allocation_ratio


def inventories(record: Mapping[str, Any]) -> dict[str, Inventory]:
    """Return what a host has by its record, in which `inventory` adds classes and overrides single numbers."""
    found = {}
    for name, (total, ratio, ratio_default, reserved, reserved_default) in CLASSES.items():
        if record.get(total) is not None:
            found[name] = {
                "total": float(record[total]),
                "reserved": float(_or(record.get(reserved), reserved_default)),
                "allocation_ratio": float(_or(record.get(ratio), ratio_default)),
            }
    for name, given in (record.get("inventory") or {}).items():
        found[name] = {**found.get(name, {"total": 0.0}), **given}
    return {
        name: Inventory(
            total=float(one["total"]),
            reserved=float(one.get("reserved", 0)),
            allocation_ratio=float(one.get("allocation_ratio", 1.0)),
            min_unit=int(one.get("min_unit", 1)),
            max_unit=float(one.get("max_unit", one["total"])),
            step_size=int(one.get("step_size", 1)),
        )
        for name, one in found.items()
    }


def _or(value: Any, default: float) -> Any:
    """Return the value, or the default when there is none."""
    return default if value is None else value


def guests(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the domains that a host record lists, by uuid; one given as a bare uuid has no sizes."""
    listed = unpacked(record)
    return {one["uuid"]: one for one in ({"uuid": each} if isinstance(each, str) else each for each in listed)}


def foreign(
    record: Mapping[str, Any], listed: Mapping[str, Mapping[str, Any]], ours: Mapping[str, Mapping[str, int]]
) -> dict[str, int]:
    """Return what is promised on a host beside our claims: domains without a claim, and what the record cannot name.

    Args:
        record: what the host said of itself.
        listed: the domains that it lists, by uuid.
        ours: instance uuid -> amounts by class of our claims on this host.
    """
    stated = in_use(record)
    promised = {}
    for name in sorted({*CLASSES, *stated}):
        field = CLASSES[name][0] if name in CLASSES else name
        strangers = sum(int(one.get(field) or 0) for uuid, one in listed.items() if uuid not in ours)
        known = sum(int(_or(one.get(field), ours.get(uuid, {}).get(name, 0))) for uuid, one in listed.items())
        promised[name] = strangers + max(0, stated.get(name, 0) - known)
    return promised


def in_use(record: Mapping[str, Any]) -> dict[str, int]:
    """Return what a host record says is in use of each class, by all its domains."""
    stated = {name: int(record.get(f"{field}_used") or 0) for name, (field, *dummy) in CLASSES.items()}
    given = {
        name: int(one["used"]) for name, one in (record.get("inventory") or {}).items() if one.get("used") is not None
    }
    return {**stated, **given}


def check(host: str, have: Mapping[str, Inventory], used: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Raise ItemError unless the host has room for these amounts on top of what is in use."""
    for name, amount in wanted.items():
        inventory = have.get(name)
        if inventory is None:
            raise ItemError(f"{host} has no {name}, of which it needs {amount}: choose another host")
        if not inventory.min_unit <= amount <= inventory.max_unit or amount % inventory.step_size:
            raise ItemError(
                f"{host} gives one instance {inventory.min_unit} to {inventory.max_unit:g} {name} "
                f"in steps of {inventory.step_size}, it needs {amount}: choose another host or flavor"
            )
        if used.get(name, 0) + amount > inventory.capacity:
            raise ItemError(
                f"{host} has no room: {name} needs {amount}, {max(0, inventory.capacity - used.get(name, 0)):g} of "
                f"{inventory.capacity:g} is free: choose another host or delete something there"
            )
