# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one instance whose move to another host would free the place for a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import requests as request_records
from .requests import Request
from .state import State

_TRIED = 24
_SIZES = ("vcpus", "memory_mb", "disk_gb")


def freeing_moves(
    state: State, request: Request, choose: Callable[[State, Request], int | None], near: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yield moves after which the request fits; the moved instance's new host was found the same way."""
    names = state.fleet.names
    tries = 0
    for row in near:
        for instance in _movable(state, row):
            tries += 1
            if tries > _TRIED:
                return
            target = _after_move(state, request, choose, row, instance)
            if target is not None:
                moved = instance.get("name") or instance["uuid"]
                yield {"change": f"{moved} moved from {names[row]} to {names[target]}", "host": names[row]}


def _movable(state: State, row: int) -> list[Mapping[str, Any]]:
    """Return the instances of the host that may move and tell their size, the smallest first."""
    told = [one for one in state.fleet.records[row].get("instances") or () if not isinstance(one, str)]
    fitting = [one for one in told if one.get("movable") is not False and all(key in one for key in _SIZES)]
    return sorted(fitting, key=lambda one: (one["memory_mb"], one["vcpus"], str(one.get("name") or one.get("uuid"))))


def _after_move(
    state: State,
    request: Request,
    choose: Callable[[State, Request], int | None],
    row: int,
    instance: Mapping[str, Any],
) -> int | None:
    """Return where the instance would go once the request has its place on the host, None where one of both fails."""
    mover = _as_request(state, request, row, instance)
    if mover is None:
        return None
    trial = state.copy()
    if request.group:
        trial.group_count(request.group)
    if mover.group:
        trial.group_count(mover.group)
    trial.remove(row, instance)
    if choose(trial, request) != row:
        return None
    trial.place(row, request, 0)
    return choose(trial, mover)


def _as_request(state: State, request: Request, row: int, instance: Mapping[str, Any]) -> Request | None:
    """Return the instance as a request for another host, None where its group's policy is not known."""
    group = instance.get("server_group")
    if isinstance(group, str):
        if not request.group or request.group.name != group:
            return None
        group = {"name": group, "policy": request.group.policy}
        if request.group.policy == "anti-affinity":
            group["rules"] = {"max_server_per_host": request.group.max_server_per_host}
    own = {key: instance[key] for key in (*_SIZES, "project_id", "image_properties", "extra_specs") if key in instance}
    name = instance.get("name") or instance["uuid"]
    asked = {**own, "name": name, "server_group": group, "ignore_hosts": [state.fleet.names[row]]}
    return request_records.load(asked, state.policy)
