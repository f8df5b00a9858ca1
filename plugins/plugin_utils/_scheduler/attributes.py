# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's attributes under the names that Nova's HostState has, for capability extra specs and JSON queries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .state import State

# Attribute -> how it is read from the state of a row.
_CHANGING: dict[str, Callable[[State, int], Any]] = {
    "free_ram_mb": lambda state, row: _whole(state.free_ram_mb[row]),
    "free_disk_mb": lambda state, row: _whole(state.free_disk_mb[row]),
    "vcpus_used": lambda state, row: _whole(state.vcpus_used[row]),
    "num_instances": lambda state, row: _whole(state.num_instances[row]),
    "num_io_ops": lambda state, row: _whole(state.num_io_ops[row]),
    "instances": lambda state, row: {one.get("uuid", one.get("name")): one for one in state.instances(row)},
}
# Attribute -> the number of the record that it is.
_NUMBERS = {
    "total_usable_ram_mb": "memory_mb",
    "total_usable_disk_gb": "disk_gb",
    "vcpus_total": "vcpus",
    "failed_builds": "failed_builds",
    "hypervisor_version": "hypervisor_version",
    "cpu_allocation_ratio": "cpu_allocation_ratio",
    "ram_allocation_ratio": "ram_allocation_ratio",
    "disk_allocation_ratio": "disk_allocation_ratio",
}
_RATIOS = frozenset(("cpu_allocation_ratio", "ram_allocation_ratio", "disk_allocation_ratio"))
# Attribute -> the field of the record that it is.
_FIELDS = {
    "host": "name",
    "nodename": "name",
    "uuid": "uuid",
    "host_ip": "host_ip",
    "hypervisor_type": "hypervisor_type",
    "hypervisor_hostname": "hypervisor_hostname",
    "cpu_info": "cpu_info",
    "supported_instances": "supported_instances",
    "metrics": "metrics",
    "aggregates": "aggregates",
    "cell_uuid": "cell",
    "labels": "labels",
}
NAMES = frozenset(_CHANGING) | frozenset(_NUMBERS) | frozenset(_FIELDS) | {"disk_mb_used", "stats"}


def is_attribute(state: State, row: int, name: str) -> bool:
    """Return whether the host has an attribute or a statistic of this name."""
    return name in NAMES or name in _statistics(state, row)


def attribute(state: State, row: int, path: Sequence[str]) -> Any:
    """Return what is found along the path, None where it ends early; text on the way is read as JSON."""
    value = _first(state, row, path[0])
    for step in path[1:]:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _first(state: State, row: int, name: str) -> Any:
    """Return an attribute by its name, a statistic where there is no such attribute."""
    columns = state.fleet.columns
    if name in _CHANGING:
        return _CHANGING[name](state, row)
    if name in _NUMBERS:
        number = columns[_NUMBERS[name]][row]
        return float(number) if name in _RATIOS else _whole(number)
    if name == "stats":
        return _statistics(state, row)
    if name == "disk_mb_used":
        return _whole((columns["disk_gb_used"][row] + columns["reserved_disk_gb"][row]) * 1024)
    value = state.fleet.records[row].get(_FIELDS[name]) if name in _FIELDS else None
    return _statistics(state, row).get(name) if value is None else value


def _statistics(state: State, row: int) -> Mapping[str, Any]:
    """Return the free attributes of a host record and Nova's own statistics."""
    record = state.fleet.records[row]
    return {
        "num_instances": str(_whole(state.num_instances[row])),
        "io_workload": str(_whole(state.num_io_ops[row])),
        **(record.get("stats") or {}),
        **(record.get("extra") or {}),
    }


def _whole(number: Any) -> int | float:
    """Return a number of an array as the whole number that it is."""
    return int(number) if float(number).is_integer() else float(number)
