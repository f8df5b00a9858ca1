# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision record: plain data, columns instead of a dict per host, and per instance only what became different.

A request's `steps` and `weighers` hold, for all hosts in the order of the record's `hosts`, where they fell and what
they weigh before the first instance is placed. Each instance adds `fell` ([row, step, value, limit]; step -1: it is
back) and `raw` ([weigher, row, number]) against the instance before it, and `scale` and `left` as they are then.
`expand` puts that together again for one instance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .arrays import np
from .candidates import Candidates
from .hosts import Fleet
from .policy import Policy
from .requests import Request
from .scores import Scores
from .steps import sentence
from .weighers import Weigher

VERSION = 1
_MOST_TIES = 20


def new_record(
    fleet: Fleet,
    policy: Policy,
    weighers: Sequence[Weigher],
    functions: Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a record without requests; `input` is what a replay needs, kept once and not copied."""
    options = {option.name: _plain(getattr(policy, option.name)) for option in dataclasses.fields(policy)}
    return {
        "version": VERSION,
        "policy": options,
        "own_rules": {name: kinds.get("digest") for name, kinds in sorted(functions.items())},
        "weighers": [weigher.name for weigher in weighers],
        "hosts": fleet.names,
        "warnings": [],
        "requests": [],
        "input": {**given, "hosts": fleet.records},
    }


def _plain(value: Any) -> Any:
    """Return an option's value as JSON would hold it."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def describe_request(request: Request, candidates: Candidates, scores: Scores) -> dict[str, Any]:
    """Return the record of a request before its first instance is placed."""
    return {
        "name": request.name,
        "flavor": {
            "name": request.flavor_name,
            "vcpus": request.vcpus,
            "memory_mb": request.memory_mb,
            "disk_gb": request.resources.get("DISK_GB", 0),
        },
        "group": {"name": request.group.name, "policy": request.group.policy} if request.group else None,
        "steps": list(_describe_steps(candidates)),
        "weighers": _describe_weighers(scores),
        "advice": None,
    }


def _describe_steps(candidates: Candidates) -> Iterator[dict[str, Any]]:
    """Yield each step with the hosts that fell there, as columns."""
    fallen: dict[int, list[list[Any]]] = {}
    for told in candidates.reasons(np.flatnonzero(candidates.fell < len(candidates.steps))):
        fallen.setdefault(told[1], []).append(told)
    before = candidates.size
    for position, step in enumerate(candidates.steps):
        there = fallen.get(position, [])
        yield {
            "name": step.name,
            "says": step.says,
            "in": before,
            "out": candidates.left[position],
            "fell": [told[0] for told in there],
            "value": _column([told[2] for told in there]),
            "limit": _column([told[3] for told in there]),
        }
        before = candidates.left[position]


def _describe_weighers(scores: Scores) -> dict[str, dict[str, Any]]:
    """Return the raw numbers and multipliers of each weigher, as columns."""
    weighers: dict[str, dict[str, Any]] = {
        scale.weigher.name: {"raw": _column(scale.known()), "multiplier": _column(scale.multiplier.tolist())}
        for scale in scores.scales
    }
    return weighers | {name: {"raw": number, "multiplier": None} for name, number in scores.fixed.items()}


def _column(values: list[Any]) -> Any:
    """Return one value where all are alike, else the list."""
    return values[0] if values and values.count(values[0]) == len(values) else values


class Pick:
    """One instance's look at the hosts, described while they are as the instance found them. `row` is None: no host."""

    def __init__(
        self,
        candidates: Candidates,
        scores: Scores,
        changed_rows: np.ndarray | None = None,
        changed_raw: Sequence[list[Any]] = (),
    ) -> None:
        self.row, weight, ties = None, None, np.array([], dtype=int)
        if candidates.alive.size:
            self.row, weight, ties = scores.best()
        self.described: dict[str, Any] = {
            "weight": weight,
            "ties": ties[:_MOST_TIES].tolist(),
            "tied": int(ties.size),
            "tie_break": "name" if ties.size > 1 else None,
            "weighed": bool(candidates.alive.size > 1),
            "left": list(candidates.left),
            "scale": {scale.weigher.name: [scale.low, scale.high] for scale in scores.scales},
            "fell": candidates.reasons(changed_rows) if changed_rows is not None and changed_rows.size else [],
            "raw": list(changed_raw),
        }


def expand(record: Mapping[str, Any], request: int = 0, instance: int = 0) -> dict[str, Any]:
    """Return one instance's decision in full, by host names: who fell where and why, and what every survivor weighs."""
    told = record["requests"][request]
    own = told["instances"][instance]
    instance = told["instances"][instance].get("same_as", instance)
    names = record["hosts"]
    fell: dict[int, tuple[int, Any, Any]] = {}
    for position, step in enumerate(told["steps"]):
        for place, row in enumerate(step["fell"]):
            fell[row] = (position, _of(step["value"], place), _of(step["limit"], place))
    raw = {name: dict(_entries(one["raw"], len(names))) for name, one in told["weighers"].items()}
    scales = list(told["instances"][0]["scale"])
    for one in told["instances"][: instance + 1]:
        for row, step, value, limit in one["fell"]:
            if step < 0:
                fell.pop(row, None)
            else:
                fell[row] = (step, value, limit)
        for number, row, value in one["raw"]:
            raw[scales[number]][row] = value
    decided = told["instances"][instance]
    survivors = [row for row in range(len(names)) if row not in fell]
    weights = {names[row]: _weights(record, told, decided, raw, row, len(survivors)) for row in survivors}
    return {
        "name": own["name"],
        "host": own["host"],
        "alternates": own["alternates"],
        "filters": _counts(told, decided, len(names)),
        "eliminated": {
            names[row]: {"filter": told["steps"][step]["name"], "value": value, "limit": limit}
            | {"why": sentence(told["steps"][step]["says"], value, limit)}
            for row, (step, value, limit) in sorted(fell.items())
        },
        "weights": weights,
        "final": {name: sum_up(weighed, record["weighers"]) for name, weighed in weights.items()},
        "ties": [names[row] for row in decided["ties"]],
        "tie_break": decided["tie_break"],
    }


def _of(column: Any, place: int) -> Any:
    """Return a column's value at a place; one value stands for all."""
    return column[place] if isinstance(column, list) else column


def _entries(column: Any, size: int) -> enumerate[Any]:
    """Return the rows and values of a column."""
    return enumerate(column if isinstance(column, list) and column else [column] * size)


def _counts(told: Mapping[str, Any], decided: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """Return how many hosts went into each step and came out of it."""
    entering = [size, *decided["left"]]
    return [
        {"filter": step["name"], "in": entering[position], "out": entering[position + 1]}
        for position, step in enumerate(told["steps"])
    ]


def _weights(
    record: Mapping[str, Any],
    told: Mapping[str, Any],
    decided: Mapping[str, Any],
    raw: Mapping[str, Mapping[int, float]],
    row: int,
    survivors: int,
) -> dict[str, dict[str, Any]]:
    """Return what each weigher says of a host: its raw number, stretched, and multiplied."""
    weights = {}
    for name in record["weighers"] if survivors > 1 else ():
        low, high = decided["scale"].get(name, (0.0, 0.0))
        number = raw[name][row]
        multiplier = _of(told["weighers"][name]["multiplier"], row)
        normalized = 0.0 if low == high else (number - low) / (high - low)
        weights[name] = {
            "raw": number,
            "normalized": normalized,
            "multiplier": multiplier,
            "weighted": 0.0 if multiplier is None or low == high else normalized * multiplier,
        }
    return weights


def sum_up(weights: Mapping[str, Mapping[str, Any]], order: Sequence[str]) -> float:
    """Return a host's weight, added up in the order of the weighers."""
    total = 0.0
    for name in order:
        if name in weights:
            total += weights[name]["weighted"]
    return total
