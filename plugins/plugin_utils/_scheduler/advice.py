# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When there is no host: which hosts came nearest, what would make the request fit. All that is proposed was tried."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import requests as request_records
from .arrays import np
from .capacity import fits_empty
from .moves import freeing_moves
from .requests import Request
from .state import State
from .steps import Step, at, sentence

# What a request would get in a state: the row of its host, None when there is none.
Choose = Callable[[State, Request], int | None]
_NEAREST = 3
_LOOKED_AT = 50


def advise(state: State, request: Request, choose: Choose, steps: Sequence[Step]) -> dict[str, Any]:
    """Return the nearest misses, what would fit, and the class that no host could ever give."""
    one = dataclasses.replace(request, instance_names=request.instance_names[:1], instance_uuids=())
    near = _nearest(state, steps)
    return {
        "never": _never(state, one),
        "nearest": [_describe(state, steps, row) for row in near[:_NEAREST]],
        "would_fit": list(_would_fit(state, one, choose, near)),
    }


def _nearest(state: State, steps: Sequence[Step]) -> list[int]:
    """Return the hosts that fail the fewest steps, and among those the ones that miss the least.

    Nobody knows what a host lacks that is down.
    """
    failures = np.zeros(len(state.fleet.names), dtype=np.int32)
    for step in steps:
        if step.check is not None:
            failures += ~step.check(slice(None))[0]
    up = state.fleet.flags("up")
    order = [row for row in np.argsort(failures, kind="stable").tolist() if up[row]][:_LOOKED_AT]
    return sorted(order, key=lambda row: (failures[row], _shortage(_misses(steps, row)), row))


def _misses(steps: Sequence[Step], row: int) -> Iterator[tuple[Step, Any, Any]]:
    """Yield each step that the host fails, with value and limit."""
    only = np.array([row])
    for step in steps:
        if step.check is not None:
            mask, value, limit = step.check(only)
            if not mask[0]:
                yield step, at(value, row, 0), at(limit, row, 0)


def _shortage(misses: Iterator[tuple[Step, Any, Any]]) -> float:
    """Return how much is missing, in shares of what was asked; what is no amount counts as all of it."""
    total = 0.0
    for _step, value, limit in misses:
        amounts = isinstance(value, (int, float)) and isinstance(limit, (int, float))
        total += abs(value - limit) / max(abs(value), 1) if amounts else 1.0
    return total


def _describe(state: State, steps: Sequence[Step], row: int) -> dict[str, Any]:
    """Return a near miss: the host and everything that it misses."""
    return {
        "host": state.fleet.names[row],
        "misses": [
            {"filter": step.name, "value": value, "limit": limit, "why": sentence(step.says, value, limit)}
            for step, value, limit in _misses(steps, row)
        ],
    }


def _never(state: State, request: Request) -> dict[str, Any] | None:
    """Return the resource class of which no host has enough even when it is empty, and the most that one could give.

    A host that is down may have enough.
    """
    if not state.fleet.names or not state.fleet.flags("up").all():
        return None
    sides = [request.resources, request.unpinned_resources or {}]
    for resources in sides:
        fitting = [fits_empty(state, name, amount) for name, amount in resources.items()]
        if fitting and np.logical_and.reduce(fitting).any():
            return None
    for name, amount in request.resources.items():
        inventory = state.inventory(name)
        most = np.minimum(inventory.room, inventory.max_unit)
        if not fits_empty(state, name, amount).any():
            best = int(most.argmax())
            return {"class": name, "amount": amount, "most": float(most[best]), "host": state.fleet.names[best]}
    return {"class": None, "amount": None, "most": None, "host": None}


def _would_fit(state: State, request: Request, choose: Choose, near: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield changes with which the request gets a host, each with that host."""
    names = state.fleet.names
    if request.group and not request.group.policy.startswith("soft-"):
        softer = dataclasses.replace(request.group, policy=f"soft-{request.group.policy}")
        row = choose(state, dataclasses.replace(request, group=softer))
        if row is not None:
            yield {"change": f"group {request.group.name} as {softer.policy}", "host": names[row]}
    if request.spread and request.spread.hard:
        row = choose(state, dataclasses.replace(request, spread=dataclasses.replace(request.spread, hard=False)))
        if row is not None:
            yield {"change": f"spread by {request.spread.by} as soft", "host": names[row]}
    yield from itertools.islice(_smaller_flavors(state, request, choose), 1)
    yield from itertools.islice(freeing_moves(state, request, choose, near), 1)


def _smaller_flavors(state: State, request: Request, choose: Choose) -> Iterator[dict[str, Any]]:
    """Yield the flavors of the catalogue that are smaller and fit, the largest first."""
    size = {key: request.source.get(key) or 0 for key in ("memory_mb", "vcpus", "disk_gb")}
    smaller = [
        (tuple(flavor.get(key) or 0 for key in size), name, flavor)
        for name, flavor in state.policy.flavors.items()
        if all((flavor.get(key) or 0) <= size[key] for key in size)
        and any((flavor.get(key) or 0) < size[key] for key in size)
    ]
    for _size, name, flavor in sorted(smaller, key=lambda one: (tuple(-number for number in one[0]), one[1])):
        row = choose(state, request_records.load(_with_flavor(request.source, name, flavor), state.policy))
        if row is not None:
            yield {"change": f"flavor {name} ({flavor.get('memory_mb')} MiB)", "host": state.fleet.names[row]}


def _with_flavor(source: Mapping[str, Any], name: str, flavor: Mapping[str, Any]) -> dict[str, Any]:
    """Return one instance of a request with another flavor."""
    several = ("num_instances", "min_count", "instance_names", "instance_uuids")
    kept = {key: value for key, value in source.items() if key not in several}
    sizes = {key: flavor[key] for key in ("vcpus", "memory_mb", "disk_gb", "ephemeral_gb", "swap_mb") if key in flavor}
    return {**kept, **sizes, "flavor_name": name, "extra_specs": flavor.get("extra_specs") or {}}
