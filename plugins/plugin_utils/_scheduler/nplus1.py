# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""N+1: after a placement, any single host may fail and the rest can still take what ran on it.

For every host a plan is kept that puts each of its instances on another host. A placement is allowed when a plan for
every host can still be shown; packing is hard, so where the two simple ways of planning fail a possible placement may
be refused, but never is an impossible one allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arrays import np
from .names import refuse
from .requests import Request
from .state import Rows, State
from .steps import Verdict

_CLASSES = {"VCPU": "vcpus", "MEMORY_MB": "memory_mb", "DISK_GB": "disk_gb"}
_KEYS = list(_CLASSES.values())
# What each host would take over from the failing one: its row -> vCPUs, memory, disk.
Plan = dict[int, Any]


def survives(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes on which the request can come and any single host can still fail."""
    free = _free(state)
    plans = [_plan(state, failing, free) for failing in range(len(state.fleet.names))]
    load = np.array([request.resources.get(name, 0) for name in _CLASSES], dtype=np.float64)
    reasons = {row: _fails(state, row, load, free, plans) for row in state.rows(rows)}
    mask = np.array([reasons[row] is None for row in state.rows(rows)], dtype=bool)
    return mask, lambda row: reasons[row], None


def _fails(state: State, row: int, load: np.ndarray, free: np.ndarray, plans: list[Plan | None]) -> str | None:
    """Return whose failure could not be absorbed with the load on this host, None when every one could.

    Only the plan for the host itself, and those that need more of it than the load leaves, have to be made anew.
    """
    if None in plans:
        return f"the failure of {state.fleet.names[plans.index(None)]} could not be absorbed even now"
    left = free.copy()
    left[row] -= load
    tight = [failing for failing, plan in enumerate(plans) if row in plan and (plan[row] > left[row]).any()]
    for failing in sorted({row, *tight}):
        if _plan(state, failing, left, [load] if failing == row else ()) is None:
            return f"the failure of {state.fleet.names[failing]} could no longer be absorbed"
    return None


def _free(state: State) -> np.ndarray:
    """Return what every host has free of vCPUs, memory and disk; a host that is disabled or down has nothing."""
    columns = [state.inventory(name).room - state.used_of(name) for name in _CLASSES]
    usable = state.fleet.flags("enabled") & state.fleet.flags("up")
    return np.where(usable[:, None], np.stack(columns, axis=1), 0.0)


def _plan(state: State, failing: int, free: np.ndarray, extra: Sequence[np.ndarray] = ()) -> Plan | None:
    """Return what each host would take over if one fails, None when neither way of planning finds room for all."""
    if not state.fleet.flags("up")[failing]:
        return {}
    loads = [*(_load(state, failing, one) for one in state.instances(failing)), *extra]
    loads.sort(key=lambda load: (-load[1], -load[0], -load[2]))
    for roomiest in (True, False):
        plan = _pack(loads, failing, free, roomiest)
        if plan is not None:
            return plan
    return None


def _pack(loads: list[np.ndarray], failing: int, free: np.ndarray, roomiest: bool) -> Plan | None:
    """Return where the loads go, the largest first: each to the host with the most memory free, or the least."""
    left = free.copy()
    left[failing] = -1.0
    plan: Plan = {}
    for load in loads:
        fitting = np.flatnonzero((left >= load).all(axis=1))
        if not fitting.size:
            return None
        memory = left[fitting, 1]
        target = int(fitting[memory.argmax() if roomiest else memory.argmin()])
        left[target] -= load
        plan[target] = plan.get(target, 0.0) + load
    return plan


def _load(state: State, row: int, instance: Mapping[str, Any]) -> np.ndarray:
    """Return what an instance takes, or refuse the host whose instances do not tell it."""
    if any(not isinstance(instance.get(key), (int, float)) for key in _KEYS):
        refuse(
            f"host {state.fleet.names[row]}: instance {instance.get('name', instance.get('uuid'))} does not tell its "
            f"{', '.join(_KEYS)}, which n_plus_one needs; gather the host's facts again"
        )
    return np.array([instance[key] for key in _KEYS], dtype=np.float64)
