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

from .arrays import np
from .requests import Request
from .state import Rows, State
from .weighers import Weigher, multipliers


class Scale:
    """One weigher's numbers: of all hosts asked so far (`every`), of the survivors (`column`), and their shares.

    A host is first asked when it is among the survivors: only then must it have what the weigher looks at.
    """

    def __init__(self, state: State, request: Request, weigher: Weigher) -> None:
        self.state, self.request, self.weigher = state, request, weigher
        self.multiplier = multipliers(state, weigher)
        self.every = np.full(self.multiplier.size, np.nan)
        self.low = self.high = 0.0

    def ask(self, rows: Rows) -> np.ndarray:
        """Return the weigher's numbers for some rows, as it counts them."""
        raw = np.asarray(self.weigher.raw(self.state, self.request, rows), dtype=np.float64)
        return np.maximum(raw, 0.0) if self.weigher.from_zero else raw

    def restrict(self, alive: np.ndarray) -> np.ndarray:
        """Take the survivors' numbers and weigh them; return the rows that were asked for the first time."""
        self.column, self.factor = self.every[alive], self.multiplier[alive]
        unknown = np.isnan(self.column)
        new = alive[unknown]
        if new.size:
            self.every[new] = self.ask(slice(None) if new.size == self.every.size else new)
            self.column = self.every[alive]
        self.weigh()
        return new

    def known(self) -> list[float | None]:
        """Return the numbers of all hosts, None for those that were not asked."""
        unknown = np.isnan(self.every)
        numbers = self.every.tolist()
        for row in np.flatnonzero(unknown).tolist():
            numbers[row] = None
        return numbers

    def weigh(self) -> None:
        """Stretch and multiply all of the survivors' numbers; `share` is None where they are all alike."""
        self.low, self.high = self._bounds()
        if self.low == self.high:
            self.share = None
        else:
            self.share = (self.column - self.low) / (self.high - self.low) * self.factor

    def _bounds(self) -> tuple[float, float]:
        """Return the least and the greatest number that the scale reaches from and to."""
        if not self.column.size:
            return 0.0, 0.0
        return 0.0 if self.weigher.from_zero else float(self.column.min()), float(self.column.max())

    def set(self, position: int, number: float) -> bool:
        """Change one survivor's number; return whether that changed the share of others too."""
        self.column[position] = number
        if self._bounds() != (self.low, self.high):
            self.weigh()
            return True
        if self.share is not None:
            self.share[position] = (number - self.low) / (self.high - self.low) * self.factor[position]
        return False


class Scores:
    """The scales of all weighers that have something to say, and the survivors' total weights."""

    def __init__(self, state: State, request: Request, weighers: Sequence[Weigher], alive: np.ndarray) -> None:
        self.fixed: dict[str, float] = {}
        self.scales: list[Scale] = []
        for weigher in weighers:
            fixed = weigher.fixed(state, request)
            if fixed is None:
                self.scales.append(Scale(state, request, weigher))
            else:
                self.fixed[weigher.name] = fixed
        self._restrict(alive)

    def _restrict(self, alive: np.ndarray) -> list[np.ndarray]:
        """Weigh these hosts and no others; return for each scale the rows that were asked for the first time."""
        self.alive = alive
        new = [scale.restrict(alive) for scale in self.scales]
        self._add_up()
        return new

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
                fresh = float(scale.ask(np.array([row]))[0])
                if fresh != scale.every[row]:
                    scale.every[row] = fresh
                    changed.append([number, row, fresh])
                    rebuilt |= same and scale.set(position, fresh)
        if not same:
            for number, new in enumerate(self._restrict(alive)):
                changed.extend([number, one, float(self.scales[number].every[one])] for one in new.tolist())
        elif rebuilt:
            self._add_up()
        elif alive.size > 1:
            self.total[position] = self._sum_at(position)
        return changed

    def _again(self, number: int, scale: Scale) -> list[list[Any]]:
        """Weigh the hosts again by a weigher that looks at the fleet; return what changed."""
        before = scale.every
        scale.every = scale.ask(slice(None))
        scale.restrict(self.alive)
        rows = np.flatnonzero((scale.every != before) & ~np.isnan(before)).tolist()
        return [[number, row, float(scale.every[row])] for row in rows]

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
