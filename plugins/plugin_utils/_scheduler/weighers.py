# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nova's weighers by their Nova names, and ours for spreading: each makes one raw number per host, more is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .arrays import np
from .filters_aggregate import least
from .groups import has_policy, soft_affinity, soft_anti_affinity, soft_spread
from .images import comparable
from .names import refuse
from .policy import Policy
from .requests import Request
from .state import Rows, State

# One number for each of the rows asked for: an array of floats.
Raw = Any


@dataclass(frozen=True)
class Weigher:
    """A weigher. With `from_zero` raw numbers below zero count as zero and the scale starts there; `sign` is the
    multiplier's own. Where `applies` says no, every host weighs 0, and where `same` returns a number, that: then the
    weigher cannot change a decision.
    """

    name: str
    raw: Callable[[State, Request, Rows], Raw]
    multiplier: str
    from_zero: bool = False
    sign: float = 1.0
    changes: str = "row"
    applies: Callable[[Policy, Request], bool] = lambda policy, request: True
    same: Callable[[State], float | None] = lambda state: None

    def fixed(self, state: State, request: Request) -> float | None:
        """Return the one number that all hosts have from this weigher, None when they may differ."""
        return self.same(state) if self.applies(state.policy, request) else 0.0


def ram(state: State, request: Request, rows: Rows) -> Raw:
    """More free memory, without the allocation ratio."""
    return state.free_ram_mb[rows]


def cpu(state: State, request: Request, rows: Rows) -> Raw:
    """More free vCPUs, with the allocation ratio."""
    columns = state.fleet.columns
    return columns["vcpus"][rows] * columns["cpu_allocation_ratio"][rows] - state.vcpus_used[rows]


def disk(state: State, request: Request, rows: Rows) -> Raw:
    """More free disk, without the allocation ratio and never more than really is free."""
    return state.free_disk_mb[rows]


def io_ops(state: State, request: Request, rows: Rows) -> Raw:
    """How many builds, resizes, snapshots and moves the host is busy with."""
    return state.num_io_ops[rows]


def num_instances(state: State, request: Request, rows: Rows) -> Raw:
    """How many instances the host has."""
    return state.num_instances[rows]


def hypervisor_version(state: State, request: Request, rows: Rows) -> Raw:
    """The newer hypervisor."""
    return state.fleet.columns["hypervisor_version"][rows]


def build_failure(state: State, request: Request, rows: Rows) -> Raw:
    """How many builds failed on the host since the last that did not."""
    return state.fleet.columns["failed_builds"][rows]


def pci(state: State, request: Request, rows: Rows) -> Raw:
    """Fewer free PCI devices, so that hosts with many stay free for those who need them."""
    free = [sum(pool["count"] for pool in state.pci_pools(row)) for row in state.rows(rows)]
    return 100.0 - np.minimum(np.array(free, dtype=np.float64), 99.0)


def cross_cell(state: State, request: Request, rows: Rows) -> Raw:
    """The cell that a move prefers."""
    cells = state.fleet.column("cell")
    return np.array([1.0 if cells[row] == request.preferred_cell else -1.0 for row in state.rows(rows)])


def metrics(state: State, request: Request, rows: Rows) -> Raw:
    """The sum of the host's metrics, each times its ratio in the policy's weight_setting."""
    policy, reported = state.policy, state.fleet.column("metrics")

    def weigh(row: int) -> float:
        value = 0.0
        for name, ratio in policy.weight_setting.items():
            if name in (reported[row] or ()):
                value += reported[row][name] * ratio
            elif policy.metrics_required:
                refuse(
                    f"host {state.fleet.names[row]} does not report metric {name}; add MetricsFilter or set "
                    "metrics_required: false"
                )
            elif ratio:
                return policy.weight_of_unavailable
        return value

    return np.array([weigh(row) for row in state.rows(rows)])


def image_properties(state: State, request: Request, rows: Rows) -> Raw:
    """How many properties the host's instances have in common with the image."""
    wanted = comparable(request.image_properties)
    setting = state.policy.image_props_weight_setting

    def weigh(row: int) -> float:
        weight = 0.0
        for instance in state.instances(row):
            common = wanted & comparable(instance.get("image_properties") or {})
            weight += sum(setting.get(key, 0.0) if setting else 1.0 for key, _value in sorted(common))
        return weight

    return np.array([weigh(row) for row in state.rows(rows)])


# In the order in which Nova adds them up, for sums of fractions depend on it.
WEIGHERS = (
    Weigher("BuildFailureWeigher", build_failure, "build_failure_weight_multiplier", sign=-1.0, changes="never"),
    Weigher("CPUWeigher", cpu, "cpu_weight_multiplier", from_zero=True),
    Weigher(
        "CrossCellWeigher",
        cross_cell,
        "cross_cell_move_weight_multiplier",
        changes="never",
        applies=lambda policy, request: request.preferred_cell is not None,
    ),
    Weigher("DiskWeigher", disk, "disk_weight_multiplier", from_zero=True),
    Weigher("HypervisorVersionWeigher", hypervisor_version, "hypervisor_version_weight_multiplier", changes="never"),
    Weigher(
        "ImagePropertiesWeigher",
        image_properties,
        "image_props_weight_multiplier",
        applies=lambda policy, request: policy.multipliers["image_props_weight_multiplier"] != 0.0,
    ),
    Weigher("IoOpsWeigher", io_ops, "io_ops_weight_multiplier", from_zero=True),
    Weigher(
        "MetricsWeigher",
        metrics,
        "metrics_weight_multiplier",
        changes="never",
        applies=lambda policy, request: bool(policy.weight_setting),
    ),
    Weigher("NumInstancesWeigher", num_instances, "num_instances_weight_multiplier"),
    Weigher(
        "PCIWeigher",
        pci,
        "pci_weight_multiplier",
        same=lambda state: None if any(state.fleet.column("pci_pools")) else 100.0,
    ),
    Weigher("RAMWeigher", ram, "ram_weight_multiplier", from_zero=True),
    Weigher(
        "ServerGroupSoftAffinityWeigher",
        soft_affinity,
        "soft_affinity_weight_multiplier",
        applies=has_policy("soft-affinity"),
    ),
    Weigher(
        "ServerGroupSoftAntiAffinityWeigher",
        soft_anti_affinity,
        "soft_anti_affinity_weight_multiplier",
        applies=has_policy("soft-anti-affinity"),
    ),
    Weigher(
        "SpreadWeigher",
        soft_spread,
        "spread_weight_multiplier",
        changes="fleet",
        applies=lambda policy, request: bool(request.spread and not request.spread.hard),
    ),
)


def multipliers(state: State, weigher: Weigher) -> np.ndarray:
    """Return the weigher's multiplier for every host: the least of its aggregates', else the policy's."""
    default = state.policy.multipliers.get(weigher.multiplier, 1.0)
    return state.fleet.once(
        ("multiplier", weigher.multiplier, default, weigher.sign),
        lambda: (
            weigher.sign
            * state.fleet.per_aggregate_set(
                lambda metadata: least(metadata.get(weigher.multiplier), float, default), np.float64
            )
        ),
    )
