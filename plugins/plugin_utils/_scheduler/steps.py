# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step of a decision is: one question to every host, with the value and the limit that answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .policy import Policy
from .requests import Request
from .state import Rows, State

# (which of the rows pass, what was asked or found, what the host or the policy allows). The last two are one value
# for all rows, an array with one per row, or a function from a row to its value, which is only asked where it matters.
Verdict = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Filter:
    """A filter of Nova's or ours.

    `changes` tells what one placement can change of its verdict: "never" within a request (Nova asks such a filter
    once), "row" only that of the chosen host, "fleet" that of any host. `says` puts value and limit into words.
    """

    name: str
    passes: Callable[[State, Request, Rows], Verdict]
    says: str
    changes: str = "never"
    applies: Callable[[Policy, Request], bool] = lambda policy, request: True


@dataclass(frozen=True)
class Step:
    """One question of one decision, bound to its request. `check` is None where the filter has nothing to ask."""

    name: str
    check: Callable[[Rows], Verdict] | None
    says: str
    changes: str = "never"


def bind(chosen: Filter, state: State, request: Request) -> Step:
    """Return the filter as a step of this request's decision."""
    if not chosen.applies(state.policy, request):
        return Step(chosen.name, None, chosen.says)
    return Step(chosen.name, lambda rows: chosen.passes(state, request, rows), chosen.says, chosen.changes)


def at(value: Any, row: int, position: int) -> Any:
    """Return the value that a verdict has for a row, the position-th of the rows asked for; plain, for JSON."""
    if callable(value):
        value = value(row)
    elif getattr(value, "shape", ()):
        value = value[position]
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def sentence(says: str, value: Any, limit: Any) -> str:
    """Return a step's words with the value and the limit in their places."""
    numbers = all(isinstance(one, (int, float)) for one in (value, limit))
    short = _number(value - limit) if numbers else ""
    return says.format(value=_number(value), limit=_number(limit), short=short)


def _number(value: Any) -> Any:
    """Return a number without an empty fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
