# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: every instance of every request of a run gets its host, each on what the earlier ones took."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import hosts as host_records
from . import policy as policies
from . import requests as request_records
from .advice import advise
from .arrays import need_numpy
from .candidates import Candidates
from .capacity import placement_steps
from .filters import chosen_filters
from .names import refuse_unknown
from .record import Pick, describe_request, new_record
from .requests import Request
from .rules import own_filters, own_weighers
from .scores import Scores
from .state import State
from .steps import Filter, bind
from .text import message
from .weighers import WEIGHERS, Weigher


@dataclass(frozen=True)
class Rulebook:
    """The filters and weighers of a policy, the user's own among them."""

    filters: tuple[Filter, ...]
    weighers: tuple[Weigher, ...]


def decide(
    requests: Iterable[Mapping[str, Any]],
    hosts: Iterable[Mapping[str, Any]],
    policy: Mapping[str, Any] | str | None = None,
    functions: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the decision record of a run.

    Args:
        requests: request records, decided in this order.
        hosts: host records; their order does not matter.
        policy: a policy's name or options.
        functions: the user's own rules, name -> {"passes": function, "weigh": function, "digest": of their text}.

    Raises:
        ItemError: something has an unknown name or an impossible form; nothing is decided then.
    """
    need_numpy()
    requests, functions = list(requests), functions or {}
    chosen = policies.resolve(policy)
    rulebook = rules_of(chosen, functions)
    state = State(host_records.load(hosts), chosen)
    loaded = [request_records.load(request, chosen) for request in requests]
    record = new_record(state.fleet, chosen, rulebook.weighers, functions, {"requests": requests, "policy": policy})
    for request in loaded:
        record["warnings"].extend(_warnings(state, request))
        told, state = _decide_request(state, request, rulebook)
        record["requests"].append(told)
        for instance in told["instances"]:
            instance["message"] = None if instance["host"] else message(record, told, instance)
    return record


def rules_of(policy: policies.Policy, functions: Mapping[str, Mapping[str, Any]]) -> Rulebook:
    """Return which filters and weighers a policy has; a name that none of them has is refused."""
    weighers = own_weighers(policy, functions)
    policies.check_multipliers(policy, {weigher.name: weigher for weigher in weighers})
    filters = chosen_filters(policy, own_filters(policy, functions))
    return Rulebook(tuple(filters), (*WEIGHERS, *weighers))


def _warnings(state: State, request: Request) -> Iterator[str]:
    """Yield what a user should know though it stops nothing; an unknown zone is refused where the policy says so."""
    zone = request.availability_zone
    if zone and zone not in state.fleet.zones:
        known = sorted({own for own in state.fleet.zones if own})
        if state.policy.unknown_availability_zone == "refuse":
            refuse_unknown(f"request {request.name}: availability zone", zone, known)
        yield f"request {request.name}: no host is in availability zone {zone}, so it restricts nothing, as in Nova"


def look(state: State, request: Request, rulebook: Rulebook) -> tuple[Candidates, Scores]:
    """Return what the request's first instance finds: who survives, and with what weight."""
    steps = list(placement_steps(state, request))
    if not request.force_hosts:
        steps.extend(bind(one, state, request) for one in rulebook.filters)
    candidates = Candidates(steps, len(state.fleet.names))
    return candidates, Scores(state, request, rulebook.weighers, candidates.alive)


def choice(state: State, request: Request, rulebook: Rulebook) -> int | None:
    """Return the row that one instance of the request would get, None when there is no host for it."""
    _candidates, scores = look(state, request, rulebook)
    return scores.best()[0] if scores.alive.size else None


def _decide_request(state: State, request: Request, rulebook: Rulebook) -> tuple[dict[str, Any], State]:
    """Return the record of one request and the state after it; below min_count nothing of it stays."""
    before = state.copy() if request.min_count else None
    candidates, scores = look(state, request, rulebook)
    told = describe_request(request, candidates, scores)
    picks, order = _place_all(state, request, candidates, scores)
    placed = sum(pick.row is not None for pick in picks)
    if placed < len(request.instance_names):
        told["advice"] = advise(state, request, lambda there, one: choice(there, one, rulebook), candidates.steps)
    if before is not None and placed < request.min_count:
        told["withdrawn"], placed, state = placed, 0, before
    alternates = _alternates(state, order, picks)
    told["instances"] = [
        _describe_instance(told, request, state.fleet.names, picks, alternates, position)
        for position in range(len(request.instance_names))
    ]
    told["placed"] = placed
    told["result"] = "ok" if placed == len(request.instance_names) else "partial" if placed else "NoValidHost"
    return told, state


def _place_all(state: State, request: Request, candidates: Candidates, scores: Scores) -> tuple[list[Pick], list[int]]:
    """Place one instance after the other until there is no host; return what each found, and the order for alternates.

    That order is the one after all placements; a single instance's own look is as good and is already there.
    """
    count = len(request.instance_names)
    picks = [Pick(candidates, scores)]
    own_order = scores.order() if count == 1 else None
    for position in range(count):
        row = picks[-1].row
        if row is None:
            break
        state.place(row, request, position)
        if own_order is not None:
            return picks, own_order.tolist()
        fallen = candidates.update(row)
        changed = scores.update(row, candidates.alive)
        if position + 1 < count:
            picks.append(Pick(candidates, scores, fallen, changed))
    return picks, scores.order().tolist()


def _alternates(state: State, order: list[int], picks: list[Pick]) -> list[list[str]]:
    """Return for each pick the best other hosts of its cell: those that the request did not use before those it did."""
    chosen = {pick.row for pick in picks}
    ranked = [row for row in order if row not in chosen] + [row for row in order if row in chosen]
    cells, names = state.fleet.column("cell"), state.fleet.names
    found = []
    for pick in picks:
        fitting = (names[row] for row in ranked if row != pick.row and cells[row] == cells[pick.row])
        found.append(list(itertools.islice(fitting, state.policy.max_attempts - 1)) if pick.row is not None else [])
    return found


def _describe_instance(
    told: Mapping[str, Any],
    request: Request,
    names: list[str],
    picks: list[Pick],
    alternates: list[list[str]],
    position: int,
) -> dict[str, Any]:
    """Return an instance's part of the record; those after the first without a host share its explanation."""
    uuid = request.instance_uuids[position] if request.instance_uuids else None
    instance = {"name": request.instance_names[position], "uuid": uuid, "host": None, "alternates": []}
    if position >= len(picks):
        return {**instance, "same_as": len(picks) - 1}
    pick = picks[position]
    if pick.row is not None and "withdrawn" not in told:
        instance |= {"host": names[pick.row], "alternates": alternates[position]}
    return {**instance, **pick.described}
