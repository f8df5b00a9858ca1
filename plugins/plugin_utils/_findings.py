# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit or a rebuild found, one dict each, and the one table of it. Private to this collection.

Every finding has what (one word), name, host, evidence (one sentence), remedy (exactly what to run), age (seconds, or
None where nobody knows) and gc (whether `-e gc=true` removes it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Found = dict[str, Any]
COLUMNS = ("HOST", "WHAT", "NAME", "AGE", "GC")
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def finding(
    what: str, name: str, host: str, evidence: str, remedy: str, age: int | None = None, gc: bool = False, **more: Any
) -> Found:
    """Return one finding."""
    about = {"what": what, "name": name, "host": host, "evidence": evidence, "remedy": remedy}
    return {**about, "age": age, "gc": gc, **more}


def spoken_age(seconds: int | None) -> str:
    """Return an age in its largest unit: 3h."""
    if seconds is None:
        return "-"
    return next((f"{seconds // size}{unit}" for unit, size in UNITS if seconds >= size), "0s")


def _row(one: Found) -> tuple[str, ...]:
    """Return the cells of a finding."""
    gc = one.get("done") or ("yes" if one["gc"] else "-")
    return (one["host"], one["what"], one["name"], spoken_age(one["age"]), gc)


def findings_table(found: Iterable[Found]) -> list[str]:
    """Return the lines of the table: a line for each finding, its evidence and its remedy below."""
    found = list(found)
    rows = [COLUMNS, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    below = [[]] + [[f"    {one['evidence']}", f"    -> {one['remedy']}"] for one in found]
    return [line for line, more in zip(lines, below) for line in (line, *more)]
