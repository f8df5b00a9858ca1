# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are still in question for a request, and at which step each of the others fell.

After a placement only what it can have changed is asked again: one row, or all rows where a step looks at the fleet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arrays import np
from .steps import Step, at


class Candidates:
    """The verdict of every step. `fell` is each host's step of elimination, len(steps) where it survives."""

    def __init__(self, steps: Sequence[Step], size: int) -> None:
        self.steps = steps
        self.size = size
        self.asked = [(position, step) for position, step in enumerate(steps) if step.check is not None]
        self.changing = [(position, step) for position, step in self.asked if step.changes == "row"]
        self.whole = any(step.changes == "fleet" for _position, step in self.asked)
        self.known: dict[int, np.ndarray] = {}
        self.fell = np.full(size, len(steps), dtype=np.int32)
        self.alive = np.arange(size)
        self._ask_all()

    def _ask_all(self) -> None:
        """Ask every step in turn, each only about the hosts that the steps before it left."""
        self.fell.fill(len(self.steps))
        alive = np.arange(self.size)
        for position, step in self.asked:
            if not alive.size:
                break
            mask = self._ask(position, step, alive)
            if not mask.all():
                self.fell[alive[~mask]] = position
                alive = alive[mask]
        self.alive = alive
        self.left = self._count()

    def _ask(self, position: int, step: Step, alive: np.ndarray) -> np.ndarray:
        """Return the step's verdict; one that cannot change is only asked once about each host."""
        rows: Any = slice(None) if alive.size == self.size else alive
        if step.changes != "never" or not self.whole:
            return step.check(rows)[0]
        known = self.known.setdefault(position, np.full(self.size, -1, dtype=np.int8))
        unknown = alive[known[alive] < 0]
        if unknown.size:
            known[unknown] = step.check(unknown)[0]
        return known[alive] == 1

    def _count(self) -> list[int]:
        """Return how many hosts are left after each step."""
        fallen = np.bincount(self.fell, minlength=len(self.steps) + 1)[: len(self.steps)]
        return (self.size - np.cumsum(fallen)).tolist()

    def update(self, row: int) -> np.ndarray:
        """Ask again after a placement on the row; return the rows whose verdict is another than before."""
        if self.whole:
            before = self.fell.copy()
            self._ask_all()
            return np.flatnonzero(before != self.fell)
        only = np.array([row])
        for position, step in self.changing:
            if not step.check(only)[0][0]:
                self.fell[row] = position
                self.alive = np.delete(self.alive, np.searchsorted(self.alive, row))
                self.left[position:] = [count - 1 for count in self.left[position:]]
                return only
        return only[:0]

    def reasons(self, rows: np.ndarray) -> list[list[Any]]:
        """Return [row, step, value, limit] for each of the rows that fell; a row that survives has step -1."""
        told: list[list[Any]] = []
        for position in np.unique(self.fell[rows]).tolist():
            there = rows[self.fell[rows] == position]
            if position == len(self.steps):
                told.extend([row, -1, None, None] for row in there.tolist())
                continue
            _mask, value, limit = self.steps[position].check(there)
            told.extend(
                [row, position, at(value, row, place), at(limit, row, place)]
                for place, row in enumerate(there.tolist())
            )
        return told
