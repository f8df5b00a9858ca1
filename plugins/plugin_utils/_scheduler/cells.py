# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells: parts of a fleet with a registry each, and the choice of the cell before that of the host. Private.

A cell with cells inside is a part whose hosts are all theirs. The top decision goes down: among the cells of one level
it takes the one whose hosts have room for the most instances of the request, of all that may have one at all. Which
hosts those are the ordinary filters say, so zones, traits, aggregates and the user's own rules count as they do below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import hosts as host_records
from . import policy as policies
from . import requests as request_records
from .arrays import np
from .candidates import Candidates
from .cell_tree import Cell, leaves
from .decide import Rulebook, look, rules_of
from .names import refuse_unknown
from .requests import Request
from .scores import Scores
from .state import State

Record = Mapping[str, Any]


class Top:
    """The top scheduler of one run: what every cell has left while one instance after the other gets its cell."""

    def __init__(self, cells: Mapping[str, Cell], hosts: Iterable[Record], policy: Any, functions: Any) -> None:
        self.cells = cells
        self.policy = policies.resolve(policy)
        self.rulebook: Rulebook = rules_of(self.policy, functions or {})
        records = list(hosts)
        self.states = {
            cell.name: State(host_records.load([one for one in records if one["name"] in cell.hosts]), self.policy)
            for cell in leaves(cells)
        }

    @property
    def zones(self) -> set[Any]:
        """Return the availability zones of all cells: one that another cell has restricts a cell that has it not."""
        return {zone for state in self.states.values() for zone in state.fleet.zones if zone}

    def capacity(self, name: str) -> dict[str, float]:
        """Return what is free in a cell of each class, all its hosts together."""
        told = {}
        for resource_class in ("VCPU", "MEMORY_MB", "DISK_GB"):
            left = [state.inventory(resource_class).room - state.used_of(resource_class) for state in self._below(name)]
            told[resource_class] = float(sum(np.maximum(one, 0).sum() for one in left))
        return told

    def _below(self, name: str) -> list[State]:
        """Return the states of the cells that have a registry, of a cell and all inside it."""
        return [
            self.states[cell.name]
            for cell in leaves(self.cells)
            if cell.name in self.states and (cell.name == name or name in cell.within)
        ]

    def fits(self, leaf: str, request: Request) -> int:
        """Return how many instances of the request the hosts of a cell that pass all filters have room for."""
        zone = request.availability_zone
        if not self.states[leaf].fleet.names or (zone in self.zones and zone not in self.states[leaf].fleet.zones):
            return 0
        alive = self.look(leaf, request)[0].alive
        state = self.states[leaf]
        if not alive.size:
            return 0
        room = [
            np.floor((state.inventory(name).room[alive] - state.used_of(name)[alive]) / amount)
            for name, amount in request.resources.items()
            if amount and not (name == "PCPU" and request.unpinned_resources is not None)
        ]
        most = np.min(room, axis=0) if room else np.ones(alive.size)
        return int(np.minimum(most, 1).sum() if _one_a_host(request) else most.sum())

    def look(self, leaf: str, request: Request) -> tuple[Candidates, Scores]:
        """Return what the request finds in a cell."""
        return look(self.states[leaf], request, self.rulebook)

    def place(self, leaf: str, request: Request, position: int) -> None:
        """Count one more instance of the request where the cell's own decision would put it."""
        scores = self.look(leaf, request)[1]
        if scores.alive.size:
            self.states[leaf].place(scores.best()[0], request, position)


def _one_a_host(request: Request) -> bool:
    """Say whether no two of the request may share a host."""
    return bool(request.group and request.group.policy == "anti-affinity" and request.group.max_server_per_host == 1)


def choose(
    requests: Iterable[Record],
    hosts: Iterable[Record],
    cells: Mapping[str, Cell],
    policy: Any = None,
    functions: Any = None,
    wishes: Mapping[str, str] | None = None,
    there: Mapping[str, str] | None = None,
    dead: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return by instance uuid the cell, or None, and the reason in words and numbers.

    Args:
        requests: request records of the instances that have no cell yet, decided in this order.
        hosts: host records of all cells.
        cells: as from layout().
        wishes: instance uuid -> the cell that its spec names, of any level.
        there: instance uuid -> the cell that has it: members of its server group keep it company there.
        dead: cells whose registry cannot be reached -> why.
    """
    top = Top(cells, hosts, policy, functions)
    known, groups = dict(there or {}), {}
    told: dict[str, Any] = {}
    for given in requests:
        request = request_records.load(given, top.policy)
        _check_zone(top, request)
        for position, name in enumerate(request.instance_names):
            uuid = request.instance_uuids[position] if request.instance_uuids else name
            bound = _bound(request, known, groups)
            one = _descend(top, request, len(request.instance_names), (wishes or {}).get(uuid), bound, dead or {})
            told[uuid] = {"name": name, **one}
            if one["cell"]:
                top.place(one["cell"], request, position)
                known[uuid] = one["cell"]
                if request.group:
                    groups[(request.project_id, request.group.name)] = one["cell"]
    return {"instances": told, "capacity": {name: top.capacity(name) for name in sorted(cells)}}


def _check_zone(top: Top, request: Request) -> None:
    """Refuse a zone that no cell has, where the policy says so."""
    zone = request.availability_zone
    if zone and zone not in top.zones and top.policy.unknown_availability_zone == "refuse":
        refuse_unknown(f"request {request.name}: availability zone", zone, sorted(top.zones))


def _bound(request: Request, known: Mapping[str, str], groups: Mapping[Any, str]) -> str | None:
    """Return the cell that the request's server group is in."""
    if not request.group:
        return None
    members = sorted({known[uuid] for uuid in request.group.members if uuid in known})
    return groups.get((request.project_id, request.group.name)) or (members[0] if members else None)


def _descend(
    top: Top, request: Request, count: int, wish: str | None, bound: str | None, dead: Mapping[str, str]
) -> dict[str, Any]:
    """Return the cell of one instance, found level by level, with what was seen on each."""
    level = sorted(name for name, cell in top.cells.items() if not cell.within)
    levels: list[dict[str, Any]] = []
    whole = bool(request.group)
    while level:
        seen = [_seen(top, name, request, wish, bound, dead) for name in level]
        left = [one for one in seen if not one["why_not"]]
        levels.append({"cells": seen})
        if not left:
            return {"cell": None, "levels": levels, "reason": _nowhere(levels)}
        enough = [one for one in left if one["fits"] >= count] if whole else []
        best = min(enough or left, key=lambda one: (-one["fits"], one["cell"]))["cell"]
        levels[-1]["chosen"] = best
        level = sorted(top.cells[best].inside)
    return {"cell": levels[-1]["chosen"], "levels": levels, "reason": _why(levels, wish, bound)}


def _seen(
    top: Top, name: str, request: Request, wish: str | None, bound: str | None, dead: Mapping[str, str]
) -> dict[str, Any]:
    """Return what one cell has for the request: how many it could take, or why none."""
    below = [cell for cell in leaves(top.cells) if cell.name == name or name in cell.within]
    alive = [cell for cell in below if cell.name not in dead]
    why = ""
    if wish and not any(wish == cell.name or wish in cell.within for cell in below):
        why = f"the spec names cell {wish}"
    elif bound and bound not in [cell.name for cell in below]:
        why = f"its server group is in cell {bound}"
    elif not alive:
        why = f"its registry cannot be reached: {dead[below[0].name]}"
    inside = [
        cell
        for cell in alive
        if (not wish or wish == cell.name or wish in cell.within) and (not bound or bound == cell.name)
    ]
    fits = 0 if why else sum(top.fits(cell.name, request) for cell in inside)
    if not why and not fits:
        why = "none of its hosts passes the filters with room for it"
    return {"cell": name, "hosts": len(top.cells[name].hosts), "fits": fits, "why_not": why}


def _why(levels: list[dict[str, Any]], wish: str | None, bound: str | None) -> str:
    """Return why the cell was chosen, in one line."""
    steps = []
    for level in levels:
        others = [
            f"{one['cell']}: {one['why_not'] or one['fits']}"
            for one in level["cells"]
            if one["cell"] != level["chosen"]
        ]
        (own,) = (one["fits"] for one in level["cells"] if one["cell"] == level["chosen"])
        steps.append(f"{level['chosen']} has room for {own}" + (f" ({'; '.join(others)})" if others else ""))
    rule = f"its server group is in cell {bound}" if bound else f"the spec names cell {wish}" if wish else ""
    return " > ".join(steps) + (f"; {rule}" if rule else "")


def _nowhere(levels: list[dict[str, Any]]) -> str:
    """Return why no cell takes the instance."""
    return "no cell: " + "; ".join(f"{one['cell']}: {one['why_not']}" for one in levels[-1]["cells"])
