# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of every bulk module: a list in, a list of the same length and order out. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ._model.errors import ItemError


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    `facts` is what the stage learned (it is merged into the item's result), `before` and `after` are what
    differs, as dicts, and become the item's diff. `fault` is that of ItemError and empty without an error.
    """

    name: str
    changed: bool = False
    error: str = ""
    fault: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def attempt(item: dict[str, Any], step: Callable[[dict[str, Any]], Outcome]) -> Outcome:
    """Take the step for one item; its error becomes its outcome."""
    try:
        return step(item)
    except ItemError as error:
        return Outcome(name=item["name"], error=str(error), fault=error.fault)


def each(items: Iterable[dict[str, Any]], step: Callable[[dict[str, Any]], Outcome], threads: int = 1) -> list[Outcome]:
    """Take the step for every item, in order or on so many threads; an error of one does not stop the others."""
    if threads <= 1:
        return [attempt(item, step) for item in items]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(lambda item: attempt(item, step), items))


def each_by(
    items: list[dict[str, Any]], key: Callable[[dict[str, Any]], Any], step: Callable[[dict[str, Any]], Outcome]
) -> list[Outcome]:
    """Take the step for every item, sorted by a key that is asked before; return the outcomes in the items' order."""
    keys = [key(item) for item in items]
    done = {at: attempt(items[at], step) for at in sorted(range(len(items)), key=keys.__getitem__)}
    return [done[at] for at in range(len(items))]


def in_turn(
    items: list[dict[str, Any]], steps: Iterable[Callable[[dict[str, Any]], Outcome]], threads: int = 1
) -> list[Outcome]:
    """Take the first step for every item, then the next for those that it did not fail; return the last of each."""
    outcomes = [Outcome(item["name"]) for item in items]
    for step in steps:
        left = [position for position, outcome in enumerate(outcomes) if not outcome.error]
        for position, outcome in zip(left, each([items[position] for position in left], step, threads)):
            outcomes[position] = outcome
    return outcomes


def failed(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that carry an error."""
    return [outcome for outcome in outcomes if outcome.error]


def merge(items: list[dict[str, Any]], outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return the items with what became of them: changed, failed, msg, fault and the facts of the stage."""
    merged = []
    for item, outcome in zip(items, outcomes):
        told = {"changed": outcome.changed, "failed": bool(outcome.error), "msg": outcome.error}
        if outcome.error:
            told["fault"] = outcome.fault
        merged.append({**item, **outcome.facts, **told})
    return merged


def unique_names(items: list[dict[str, Any]]) -> str:
    """Return what is wrong with the names of the items, naming both positions, or an empty string."""
    seen: dict[str, int] = {}
    for position, item in enumerate(items, start=1):
        if item["name"] in seen:
            return (
                f"'{item['name']}' is given twice, at positions {seen[item['name']]} and {position}: names must differ"
            )
        seen[item["name"]] = position
    return ""


def summary(key: str, outcomes: list[Outcome]) -> str:
    """Return one sentence that names each failed item and why, or an empty string."""
    bad = failed(outcomes)
    if not bad:
        return ""
    return f"{len(bad)} of {len(outcomes)} {key} failed: " + "; ".join(f"{one.name}: {one.error}" for one in bad)


def arguments(module: Any, key: str) -> dict[str, Any]:
    """Return what the module was asked, without secrets and without the items and other long lists."""
    spec = module.argument_spec
    long = {key, *(name for name, option in spec.items() if option.get("elements") == "dict")}
    return {name: value for name, value in module.params.items() if name not in long and not spec[name].get("no_log")}


def finish(module: Any, key: str, items: list[dict[str, Any]], outcomes: list[Outcome], **more: Any) -> NoReturn:
    """Report the items under the key and end the module, as failed if any item failed."""
    result = {
        "changed": any(outcome.changed for outcome in outcomes),
        "diff": [
            {"before_header": one.name, "after_header": one.name, "before": one.before, "after": one.after}
            for one in outcomes
            if one.changed
        ],
        key: merge(items, outcomes),
        "invocation": {"module_args": arguments(module, key)},
        **more,
    }
    message = summary(key, outcomes)
    if message:
        module.fail_json(msg=message, **result)
    module.exit_json(**result)
