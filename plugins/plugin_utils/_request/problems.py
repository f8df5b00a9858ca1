# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a request, in words. Private to this collection."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

MOST_PROBLEMS = 30
MOST_NAMES = 12
MOST_CHARACTERS = 60


@dataclass(frozen=True)
class Problem:
    """One thing a user has to mend: where it is, and the sentence about it, without the place."""

    path: Path
    says: str

    def __str__(self) -> str:
        return f"{where(self.path)} {self.says}"


def where(path: Path) -> str:
    """Return the place as a user would write it: virtfleet_instances[2].flavor, virtfleet_flavors['m1.small'].vcpus."""
    place = ""
    for step in path:
        if isinstance(step, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", step):
            place += f".{step}" if place else step
        else:
            place += f"[{step if isinstance(step, int) else quoted(step)}]"
    return place


def visible(value: str) -> str:
    """Return the text cut where it is long, with control characters made visible."""
    value = re.sub(r"//[^/@\s]*@", "//...@", value)  # a URL may have a password in it
    cut = value if len(value) <= MOST_CHARACTERS else value[: MOST_CHARACTERS - 3] + "..."
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)


def quoted(value: str) -> str:
    """Return the text as `visible` does, in quotes."""
    return f"'{visible(value)}'"


def kind(value: Any) -> str:
    """Return what the value is, in a user's words."""
    kinds = (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number with a fraction"),
        (str, "a text"),
        (list, "a list"),
        (dict, "a mapping"),
        (datetime.date, "a date"),
        (type(None), "empty (null)"),
    )
    return next((words for python, words in kinds if isinstance(value, python)), f"of type {type(value).__name__}")


def told(value: Any) -> str:
    """Return the value as it is told in a sentence; of lists and mappings only that they are one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    return kind(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name that looks most like the word, or an empty string."""
    names = {name.lower(): name for name in sorted(known, reverse=True)}
    close = difflib.get_close_matches(word.lower(), sorted(names), n=1, cutoff=0.6)
    return names[close[0]] if close else ""


def listed(names: Iterable[str]) -> str:
    """Return the names with commas between them; of many only the first ones and how many more there are."""
    ordered = [visible(name) for name in names]
    more = f" and {len(ordered) - MOST_NAMES} more" if len(ordered) > MOST_NAMES else ""
    return ", ".join(ordered[:MOST_NAMES]) + more


def instead(word: str, known: Iterable[str]) -> str:
    """Return the way out of a wrong name: the nearest one, and what there is."""
    names = list(known)
    close = nearest(word, names)
    guess = f"did you mean {quoted(close)}? " if close else ""
    return f"{guess}There is {listed(names)}" if names else "there is none"


def report(problems: list[Problem]) -> str:
    """Return all problems, one a line; of very many only the first ones and how many more there are."""
    lines = [str(one) for one in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"and {len(problems) - MOST_PROBLEMS} more problems")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"The request has {count}; nothing was done:", *lines])
