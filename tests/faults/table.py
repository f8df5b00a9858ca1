# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults and outcomes: docs/faults.md, from what a run of all cases came to."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from case import all_cases

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/faults.md"
OUTCOMES = pathlib.Path(__file__).resolve().parent / "outcomes.json"
HEAD = pathlib.Path(__file__).resolve().parent / "faults.md.head"


def line(outcome: Any, seconds: float) -> str:
    """Return how a case is told on the terminal."""
    case = outcome.case
    word = "BROKEN" if outcome.wrong else "holds"
    told = f"{word:7} {case.name:26} {outcome.ended}; left: {outcome.left}; {seconds:.0f} s"
    return "\n".join([told, *(f"    {one}" for one in dict.fromkeys(outcome.wrong))])


def remember(outcomes: list[Any]) -> None:
    """outcomes.json has what these cases came to, beside what others came to before; those that are gone are gone."""
    known = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}
    for one in outcomes:
        known[one.case.name] = {"run": one.ended, "left": one.left, "next": one.then}
    kept = {case.name: known[case.name] for case in all_cases() if case.name in known}
    OUTCOMES.write_text(json.dumps(kept, indent=1) + "\n")


def write() -> None:
    """docs/faults.md tells what is in outcomes.json."""
    known = json.loads(OUTCOMES.read_text())
    rows = ["| playbook | when | what happens | the run | what there is then | the next run | case |"]
    rows.append("|---|---|---|---|---|---|---|")
    for case in all_cases():
        told = known.get(case.name, {"run": "not run yet", "left": "", "next": ""})
        cells = [f"{case.run}.yml", case.when, case.fault, told["run"], told["left"], told["next"], f"`{case.name}`"]
        rows.append(f"| {' | '.join(cells)} |")
    PAGE.write_text(HEAD.read_text() + "\n".join(rows) + "\n")
