# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own filters and weighers: an expression over `host` and `request`, or a function of both.

Expressions run in Jinja's sandbox without anything that could make the same input answer differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .arrays import np
from .attributes import NAMES, attribute
from .names import refuse
from .policy import Policy
from .requests import Request
from .state import Rows, State
from .steps import Filter, Verdict
from .weighers import WEIGHERS, Raw, Weigher

Rule = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]


def own_filters(policy: Policy, functions: Mapping[str, Mapping[str, Rule]]) -> dict[str, Filter]:
    """Return the user's filters by name: the policy's expressions and the functions named `passes`."""
    expressions = {name: _expression(name, text) for name, text in (policy.rules.get("filters") or {}).items()}
    plain = {name: kinds["passes"] for name, kinds in functions.items() if "passes" in kinds}
    texts = policy.rules.get("filters") or {}
    return {
        name: Filter(
            name, _asking(name, rule), f"own rule: {texts.get(name, name)}".replace("{", "{{").replace("}", "}}"), "row"
        )
        for name, rule in sorted({**expressions, **plain}.items())
    }


def own_weighers(policy: Policy, functions: Mapping[str, Mapping[str, Rule]]) -> list[Weigher]:
    """Return the user's weighers: the policy's expressions and the functions named `weigh`."""
    expressions = {name: _expression(name, text) for name, text in (policy.rules.get("weighers") or {}).items()}
    plain = {name: kinds["weigh"] for name, kinds in functions.items() if "weigh" in kinds}
    ours = {weigher.name for weigher in WEIGHERS}
    rules = sorted({**expressions, **plain}.items())
    for name, _rule in rules:
        if name in ours:
            refuse(f"own weigher {name} has the name of one of Nova's: give it another name")
    return [Weigher(name, _weighing(name, rule), f"{name}_weight_multiplier") for name, rule in rules]


def host_view(state: State, row: int) -> Mapping[str, Any]:
    """Return a host as a rule sees it: its record, with Nova's names and what earlier placements left, to read only."""
    record = state.fleet.records[row]
    changing = {name: attribute(state, row, [name]) for name in sorted(NAMES)}
    known = {name: value for name, value in {**record, **changing}.items() if value is not None}
    return MappingProxyType({"labels": {}, "traits": [], **known, "instances": list(state.instances(row))})


def _asking(name: str, rule: Rule) -> Callable[[State, Request, Rows], Verdict]:
    """Return the filter that asks the rule about one host after the other."""

    def passes(state: State, request: Request, rows: Rows) -> Verdict:
        source = MappingProxyType(dict(request.source))
        mask = [bool(_call(name, rule, host_view(state, row), source)) for row in state.rows(rows)]
        return np.array(mask, dtype=bool), None, None

    return passes


def _weighing(name: str, rule: Rule) -> Callable[[State, Request, Rows], Raw]:
    """Return the weigher that asks the rule about one host after the other."""

    def raw(state: State, request: Request, rows: Rows) -> Raw:
        source = MappingProxyType(dict(request.source))
        answers = [_call(name, rule, host_view(state, row), source) for row in state.rows(rows)]
        for row, answer in zip(state.rows(rows), answers, strict=True):
            if not isinstance(answer, (int, float)) or math.isnan(answer):
                refuse(f"own weigher {name} says {answer!r} of host {state.fleet.names[row]}; it must say a number")
        return np.array(answers, dtype=np.float64)

    return raw


def _call(name: str, rule: Rule, host: Mapping[str, Any], request: Mapping[str, Any]) -> Any:
    """Return the rule's answer; what goes wrong in it is refused with the rule's and the host's name."""
    try:
        return rule(host, request)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        refuse(f"own rule {name} failed for host {host['name']}: {type(error).__name__}: {error}")


def _expression(name: str, text: str) -> Rule:
    """Return an expression as a rule; what Jinja offers of chance is not there."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    environment.globals.clear()
    environment.filters.pop("random", None)
    try:
        compiled = environment.compile_expression(str(text), undefined_to_none=False)
    except TemplateError as error:
        refuse(f"own rule {name} is not understood: {error}: {text}")

    def rule(host: Mapping[str, Any], request: Mapping[str, Any]) -> Any:
        answer = compiled(host=host, request=request)
        if isinstance(answer, StrictUndefined):
            refuse(f"own rule {name} names something that host {host['name']} does not have: {text}")
        return answer

    return rule
