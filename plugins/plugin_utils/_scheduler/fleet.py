# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleet files: given hosts and a policy, when these requests come, expect this and never that.

A file is one mapping with `given` (policy, hosts, and in `defaults` what every host and request has), `when`
(requests), `expect` and `never` (rules). A rule has one condition and, where that is about instances, which ones.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...module_utils._model.errors import ItemError
from .decide import decide
from .names import check_names, refuse
from .record import expand
from .text import lines

_PARTS = ("given", "when", "expect", "never", "about")
_GIVEN = ("policy", "hosts", "defaults")


def check_fleet(
    fleet: Mapping[str, Any],
    policy: Mapping[str, Any] | str | None = None,
    functions: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return one entry per rule of a fleet file: {rule, green, why}. `policy` counts where the file gives none."""
    check_names("fleet file: part", fleet, _PARTS)
    given = fleet.get("given") or {}
    check_names("fleet file: given", given, _GIVEN)
    rules = [(True, rule) for rule in fleet.get("expect") or ()] + [(False, rule) for rule in fleet.get("never") or ()]
    if not rules:
        refuse("the fleet file has no rules: give expect or never")
    defaults = given.get("defaults") or {}
    hosts = list(_hosts(given.get("hosts") or (), defaults.get("host") or {}))
    requests = [{**(defaults.get("request") or {}), **request} for request in fleet.get("when") or ()]
    try:
        record = decide(requests, hosts, given.get("policy") or policy, functions)
    except ItemError as error:
        return [_answer_refused(rule, wanted, str(error)) for wanted, rule in rules]
    return [_answer(record, rule, wanted) for wanted, rule in rules]


def _hosts(entries: Any, defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the hosts; an entry with `count` stands for so many, numbered from 1."""
    for entry in entries:
        host = {**defaults, **entry}
        count = host.pop("count", None)
        if count is None:
            yield host
        for number in range(1, (count or 0) + 1):
            yield {**host, "name": f"{host['name']}{number}"}


def _answer(record: Mapping[str, Any], rule: Mapping[str, Any], wanted: bool) -> dict[str, Any]:
    """Return whether an expected rule holds for all that it is about, or a forbidden one for none."""
    condition = _condition(rule)
    if condition == "refused":
        return _told(rule, wanted, not wanted, "the run was not refused")
    if condition in _RUNS:
        wrong = _RUNS[condition](record, rule[condition])
        return _told(rule, wanted, (wrong is None) == wanted, wrong or "it is so")
    found = [
        (record["requests"][place]["instances"][position]["name"], _INSTANCES[condition](record, place, position, rule))
        for place, position in _instances(record, rule.get("instance", "*"))
    ]
    if not found:
        return _told(rule, wanted, False, f"there is no instance {rule.get('instance')}")
    if wanted:
        wrong = [f"{name} {why}" for name, why in found if why is not None]
        return _told(rule, wanted, not wrong, "; ".join(wrong))
    broken = [name for name, why in found if why is None]
    return _told(rule, wanted, not broken, f"it is so for {', '.join(broken)}" if broken else "")


def _answer_refused(rule: Mapping[str, Any], wanted: bool, error: str) -> dict[str, Any]:
    """Return the answer of a run that was refused: only a rule that expects it is green."""
    condition = _condition(rule)
    expected = condition == "refused" and str(rule[condition]) in error
    return _told(rule, wanted, expected if wanted else condition != "refused" or not expected, f"refused: {error}")


def _told(rule: Mapping[str, Any], wanted: bool, green: bool, why: str) -> dict[str, Any]:
    """Return a rule's answer; a green one needs no reason."""
    words = rule.get("rule") or ", ".join(f"{key}: {value}" for key, value in rule.items())
    return {"rule": f"{'expect' if wanted else 'never'} {words}", "green": green, "why": "" if green else why}


def _condition(rule: Mapping[str, Any]) -> str:
    """Return the one condition of a rule."""
    valid = {*_RUNS, *_INSTANCES, "refused"}
    check_names("fleet rule: key", rule, {*valid, "instance", "rule"})
    conditions = [key for key in rule if key in valid]
    if len(conditions) != 1:
        refuse(f"fleet rule {dict(rule)} must have one condition of: {', '.join(sorted(valid))}")
    return conditions[0]


def _instances(record: Mapping[str, Any], pattern: str) -> Iterator[tuple[int, int]]:
    """Yield the places of the instances whose names match."""
    for place, request in enumerate(record["requests"]):
        for position, instance in enumerate(request["instances"]):
            if fnmatch.fnmatchcase(instance["name"], pattern):
                yield place, position


def _matches(name: str | None, patterns: Any) -> bool:
    """Return whether a name is one of the patterns; no pattern (null) stands for no host."""
    several = patterns if isinstance(patterns, list) else [patterns]
    return any(
        name is None if one is None else name is not None and fnmatch.fnmatchcase(name, str(one)) for one in several
    )


def _host(record: Mapping[str, Any], place: int, position: int, rule: Mapping[str, Any]) -> str | None:
    host = record["requests"][place]["instances"][position]["host"]
    return None if _matches(host, rule["host"]) else f"is on {host or 'no host'}"


def _alternates(record: Mapping[str, Any], place: int, position: int, rule: Mapping[str, Any]) -> str | None:
    have = record["requests"][place]["instances"][position]["alternates"]
    return None if have == rule["alternates"] else f"has the alternates {have}"


def _eliminated(record: Mapping[str, Any], place: int, position: int, rule: Mapping[str, Any]) -> str | None:
    fell = expand(record, place, position)["eliminated"]
    for host, step in rule["eliminated"].items():
        have = fell.get(host, {}).get("filter")
        if have != step:
            return f"has {host} {f'fall at {have}' if have else 'survive'}"
    return None


def _weights(record: Mapping[str, Any], place: int, position: int, rule: Mapping[str, Any]) -> str | None:
    weights = expand(record, place, position)["weights"]
    for host, expected in rule["weights"].items():
        for weigher, number in expected.items():
            have = weights.get(host, {}).get(weigher, {}).get("weighted")
            if have is None or abs(have - number) > 1e-9:
                return f"has {host} weighed {have} by {weigher}"
    return None


def _why(record: Mapping[str, Any], place: int, position: int, rule: Mapping[str, Any]) -> str | None:
    said = record["requests"][place]["instances"][position]["message"] or "nothing, it has a host"
    return None if rule["why"] in said else f"says: {said}"


def _would_fit(record: Mapping[str, Any], place: int, position: int, rule: Mapping[str, Any]) -> str | None:
    proposed = [one["change"] for one in (record["requests"][place]["advice"] or {}).get("would_fit", ())]
    return None if rule["would_fit"] in proposed else f"would fit with: {', '.join(proposed) or 'nothing'}"


def _together(record: Mapping[str, Any], pattern: Any) -> str | None:
    """Return why not all matching instances share hosts with another one; None when some two do."""
    hosts = [
        record["requests"][place]["instances"][position]["host"] for place, position in _instances(record, str(pattern))
    ]
    placed = [host for host in hosts if host]
    return (
        None if len(set(placed)) < len(placed) else f"{len(placed)} instances {pattern} are on {len(set(placed))} hosts"
    )


def _result(record: Mapping[str, Any], expected: Mapping[str, str]) -> str | None:
    results = {request["name"]: request["result"] for request in record["requests"]}
    wrong = [f"{name} is {results.get(name)}" for name, result in expected.items() if results.get(name) != result]
    return "; ".join(wrong) or None


def _prints(record: Mapping[str, Any], text: str) -> str | None:
    said = lines(record)
    return None if any(text in line for line in said) else f"it prints: {' | '.join(said)}"


# Condition -> what is wrong with one instance, None when it holds.
_INSTANCES: dict[str, Callable[..., str | None]] = {
    "host": _host,
    "alternates": _alternates,
    "eliminated": _eliminated,
    "weights": _weights,
    "why": _why,
    "would_fit": _would_fit,
}
# Condition -> what is wrong with the whole run, None when it holds.
_RUNS: dict[str, Callable[..., str | None]] = {"together": _together, "result": _result, "prints": _prints}
