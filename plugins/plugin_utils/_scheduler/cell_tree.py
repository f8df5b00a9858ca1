# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How cells lie in each other, and whether they fit the fleet. Private.

It is asked in every run, also in those that place nothing: without NumPy, which takes a tenth of a second to load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...module_utils._model.errors import ItemError


@dataclass(frozen=True)
class Cell:
    """A part of the fleet; one with nothing `inside` has a registry. `within` are those around it, outermost first."""

    name: str
    hosts: tuple[str, ...]
    within: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()


def layout(cells: Mapping[str, Iterable[str]], fleet: Iterable[str]) -> dict[str, Cell]:
    """Return the cells by name, nested by whose hosts are among whose; raises ItemError naming what does not fit."""
    sets = {name: frozenset(hosts) for name, hosts in sorted(cells.items())}
    for name, hosts in sets.items():
        if not hosts:
            raise ItemError(f"cell {name} has no host: put hosts into its group, or take the cell away", "request")
    for one, other in ((one, other) for one in sets for other in sets if one < other):
        common = sets[one] & sets[other]
        if sets[one] == sets[other] or (common and common not in (sets[one], sets[other])):
            raise ItemError(
                f"cells {one} and {other} share {', '.join(sorted(common))}: a host is in one cell", "request"
            )
    around = {name: sorted((o for o in sets if sets[o] > sets[name]), key=lambda o: -len(sets[o])) for name in sets}
    found = {
        name: Cell(
            name, tuple(sorted(sets[name])), tuple(around[name]), tuple(o for o in sets if name in around[o][-1:])
        )
        for name in sets
    }
    _check_complete(found, set(fleet))
    return found


def _check_complete(cells: Mapping[str, Cell], fleet: set[str]) -> None:
    """Raise ItemError for a host that no registry would be for, or that is not of the fleet."""
    placed = {host for cell in cells.values() if not cell.inside for host in cell.hosts}
    for cell in cells.values():
        strangers = sorted(set(cell.hosts) - fleet)
        if strangers:
            raise ItemError(
                f"cell {cell.name} has {strangers[0]}, which is not in group compute: add it there", "request"
            )
        loose = sorted(set(cell.hosts) - placed)
        if loose:
            raise ItemError(f"cell {cell.name} has {loose[0]} in none of the cells inside it: give it one", "request")
    if fleet - placed:
        raise ItemError(f"host {min(fleet - placed)} is in no cell: put it into the group of one", "request")


def leaves(cells: Mapping[str, Cell]) -> list[Cell]:
    """Return the cells that have a registry, by name."""
    return [cells[name] for name in sorted(cells) if not cells[name].inside]
