# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights of the surviving hosts, kept up to date from one placement to the next.

Normalising is Nova's: a weigher's numbers are stretched from the least (or zero) to the greatest among the survivors,
all 0 when they are equal, then multiplied and added up in the order of the weighers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .requests import Request
from .state import State
from .weighers import Weigher, multipliers


class Scale:
    """One weigher's numbers: of all hosts (`every`), of the survivors (`column`), and their share of the weight."""

    def __init__(self, weigher: Weigher, every: np.ndarray, multiplier: np.ndarray) -> None:
        self.weigher = weigher
        self.every = every
        self.multiplier = multiplier
        self.low = self.high = 0.0

    def restrict(self, alive: np.ndarray) -> None:
        """Take the survivors' numbers and weigh them."""
        self.column, self.factor = self.every[alive], self.multiplier[alive]
        self.weigh()

    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest number that the scale reaches from and to."""
        if not self.column.size:
            return 0.0, 0.0
        return 0.0 if self.weigher.from_zero else float(self.column.min()), float(self.column.max())

    def weigh(self) -> None:
        """Stretch and multiply all of the survivors' numbers; `share` is None where they are all alike."""
        self.low, self.high = self.bounds()
        if self.low == self.high:
            self.share = None
        else:
            self.share = (self.column - self.low) / (self.high - self.low) * self.factor

    def set(self, position: int, number: float) -> bool:
        """Change one survivor's number; return whether that changed the share of others too."""
        self.column[position] = number
        if self.bounds() != (self.low, self.high):
            self.weigh()
            return True
        if self.share is not None:
            self.share[position] = (number - self.low) / (self.high - self.low) * self.factor[position]
        return False


class Scores:
    """The scales of all weighers that have something to say, and the survivors' total weights."""

    def __init__(self, state: State, request: Request, weighers: Sequence[Weigher], alive: np.ndarray) -> None:
        self.state, self.request = state, request
        self.fixed: dict[str, float] = {}
        self.scales: list[Scale] = []
        for weigher in weighers:
            raw = weigher.raw(state, request, slice(None)) if weigher.applies(state.policy, request) else 0.0
            if np.ndim(raw) == 0:
                self.fixed[weigher.name] = float(raw)
            else:
                self.scales.append(Scale(weigher, _clamped(weigher, raw), multipliers(state, weigher)))
        self.restrict(alive)

    def restrict(self, alive: np.ndarray) -> None:
        """Weigh these hosts and no others."""
        self.alive = alive
        for scale in self.scales:
            scale.restrict(alive)
        self._add_up()

    def _add_up(self) -> None:
        """Add the shares of all weighers; a single host is not weighed, as in Nova."""
        self.total = np.zeros(self.alive.size)
        if self.alive.size > 1:
            for scale in self.scales:
                if scale.share is not None:
                    self.total += scale.share

    def update(self, row: int, alive: np.ndarray) -> list[list[Any]]:
        """Weigh again after a placement on the row; return [weigher, row, number] of every raw number that changed."""
        changed: list[list[Any]] = []
        same = alive.size == self.alive.size and np.array_equal(alive, self.alive)
        position = int(np.searchsorted(alive, row)) if same else -1
        rebuilt = False
        for number, scale in enumerate(self.scales):
            if scale.weigher.changes == "fleet":
                changed.extend(self._again(number, scale))
                rebuilt = True
            elif scale.weigher.changes == "row":
                fresh = _clamped(scale.weigher, scale.weigher.raw(self.state, self.request, np.array([row])))
                if fresh[0] != scale.every[row]:
                    scale.every[row] = fresh[0]
                    changed.append([number, row, float(fresh[0])])
                    rebuilt |= same and scale.set(position, fresh[0])
        if not same:
            self.restrict(alive)
        elif rebuilt:
            self._add_up()
        elif alive.size > 1:
            self.total[position] = self._sum_at(position)
        return changed

    def _again(self, number: int, scale: Scale) -> list[list[Any]]:
        """Weigh all hosts again by a weigher that looks at the fleet; return what changed."""
        fresh = _clamped(scale.weigher, scale.weigher.raw(self.state, self.request, slice(None)))
        rows = np.flatnonzero(fresh != scale.every).tolist()
        scale.every = fresh
        scale.restrict(self.alive)
        return [[number, row, float(fresh[row])] for row in rows]

    def _sum_at(self, position: int) -> float:
        """Return one survivor's weight, added up in the same order as all."""
        total = 0.0
        for scale in self.scales:
            if scale.share is not None:
                total += scale.share[position]
        return total

    def best(self) -> tuple[int, float, np.ndarray]:
        """Return the row of the greatest weight (by name among equals), that weight, and all rows that have it."""
        place = int(self.total.argmax())
        weight = self.total[place]
        return int(self.alive[place]), float(weight), self.alive[self.total == weight]

    def order(self) -> np.ndarray:
        """Return the survivors, the greatest weight first, equals by name."""
        return self.alive[np.argsort(-self.total, kind="stable")]


def _clamped(weigher: Weigher, raw: np.ndarray) -> np.ndarray:
    """Return the raw numbers as the weigher counts them, as an array of its own."""
    return np.maximum(raw, 0.0) if weigher.from_zero else np.array(raw, dtype=np.float64)
