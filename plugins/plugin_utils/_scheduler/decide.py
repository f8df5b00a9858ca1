# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: every instance of every request of a run gets its host, each on what the earlier ones took."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import hosts as host_records
from . import policy as policies
from . import requests as request_records
from .advice import advise
from .candidates import Candidates
from .capacity import placement_steps
from .filters import chosen_filters
from .record import Pick, describe_request, new_record
from .requests import Request
from .rules import own_filters, own_weighers
from .scores import Scores
from .state import State
from .steps import Filter, bind
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
        functions: the user's own rules, name -> {"passes": function, "weigh": function}.

    Raises:
        ItemError: something has an unknown name or an impossible form; nothing is decided then.
    """
    hosts, requests = list(hosts), list(requests)
    chosen = policies.resolve(policy)
    rulebook = rules_of(chosen, functions or {})
    state = State(host_records.load(hosts), chosen)
    loaded = [request_records.load(request, chosen) for request in requests]
    record = new_record(
        state.fleet, chosen, rulebook.weighers, {"requests": requests, "hosts": hosts, "policy": policy}
    )
    for request in loaded:
        described, state = _decide_request(state, request, rulebook)
        record["requests"].append(described)
    return record


def rules_of(policy: policies.Policy, functions: Mapping[str, Mapping[str, Any]]) -> Rulebook:
    """Return which filters and weighers a policy has; a name that none of them has is refused."""
    weighers = own_weighers(policy, functions)
    policies.check_multipliers(policy, {weigher.name: weigher for weigher in weighers})
    filters = chosen_filters(policy, own_filters(policy, functions))
    return Rulebook(tuple(filters), (*WEIGHERS, *weighers))


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
    described = describe_request(request, candidates, scores)
    picks = [Pick(candidates, scores)]
    order = scores.order() if len(request.instance_names) == 1 else None
    for position in range(len(request.instance_names)):
        row = picks[-1].row
        if row is None:
            break
        state.place(row, request, position)
        if order is None:
            fallen = candidates.update(row)
            changed = scores.update(row, candidates.alive)
            if position + 1 < len(request.instance_names):
                picks.append(Pick(candidates, scores, fallen, changed))
    placed = sum(pick.row is not None for pick in picks)
    advice = advise(state, request, rulebook, candidates) if placed < len(request.instance_names) else None
    if before is not None and placed < request.min_count:
        state = before
        described["withdrawn"] = placed
        for pick in picks:
            pick.row = None
    order = scores.order() if order is None else order
    _describe_instances(described, request, state, picks, _alternates(state, order.tolist(), picks), advice)
    return described, state


def _alternates(state: State, order: list[int], picks: list[Pick]) -> list[list[int]]:
    """Return for each pick the best other hosts of its cell: those that the request did not use before those it did."""
    wanted = state.policy.max_attempts - 1
    chosen = {pick.row for pick in picks}
    ranked = [row for row in order if row not in chosen] + [row for row in order if row in chosen]
    cells = state.fleet.column("cell")
    found = []
    for pick in picks:
        fitting = (row for row in ranked if row != pick.row and cells[row] == cells[pick.row])
        found.append(list(itertools.islice(fitting, wanted)) if pick.row is not None else [])
    return found


def _describe_instances(
    described: dict[str, Any],
    request: Request,
    state: State,
    picks: list[Pick],
    alternates: list[list[int]],
    advice: dict[str, Any] | None,
) -> None:
    """Add the instances to the request's record; those after the first without a host share its explanation."""
    names = state.fleet.names
    for position, name in enumerate(request.instance_names):
        uuid = request.instance_uuids[position] if request.instance_uuids else None
        instance: dict[str, Any] = {"name": name, "uuid": uuid, "host": None, "alternates": []}
        if position < len(picks):
            pick = picks[position]
            instance.update(pick.described)
            if pick.row is not None:
                instance["host"] = names[pick.row]
                instance["alternates"] = [names[row] for row in alternates[position]]
        else:
            instance["same_as"] = len(picks) - 1
        described["instances"].append(instance)
    placed = sum(instance["host"] is not None for instance in described["instances"])
    described["placed"] = placed
    described["result"] = "ok" if placed == len(request.instance_names) else "partial" if placed else "NoValidHost"
    described["advice"] = advice
