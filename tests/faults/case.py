# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case: a playbook, a moment of it, a fault, and what is to come of it. tests/faults/README.md shows the format."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

import yaml
from faults import FAULTS

CASES = pathlib.Path(__file__).resolve().parent / "cases"
STAGES = ("request", "host_info", "placement", "claim", "image", "volume", "config_drive", "port", "domain", "ready")
STAGES += ("undo", "settle", "report")
ON_CONTROLLER = ("request", "placement", "report")
ON_REGISTRY = ("claim", "settle")
POINTS = ("before", "in", "after")


class CaseError(Exception):
    """What is wrong with the file of a case, in one sentence."""


@dataclass(frozen=True)
class Case:
    """A case; `left`, `says` and `remedy` count where they are given."""

    name: str
    run: str
    fault: str
    point: str = ""
    stage: str = ""
    task: str = ""
    seconds: float = 0.15
    host: str = "kvm3"
    count: int = 3
    group: bool = True
    fast: bool = False
    left: dict[str, list[str]] = field(default_factory=dict)
    says: str = ""
    remedy: str = ""

    @property
    def alone(self) -> bool:
        """Whether what the fault damages does not come back by itself, so that no other case may run meanwhile."""
        return self.fault.startswith("the registry's file")

    @property
    def when(self) -> str:
        """The moment, as people read it."""
        if not self.point:
            return "before the run"
        what = f"stage {self.stage}" + (f" ({self.task})" if self.task else "")
        return {"before": "before", "in": "in the middle of", "after": "after"}[self.point] + f" {what}"

    @property
    def names(self) -> list[str]:
        """The names of its instances."""
        return [self.name] if self.count == 1 else [f"{self.name}-{one}" for one in range(1, self.count + 1)]

    @property
    def module_host(self) -> str:
        """The host on which the module of its stage is waited for."""
        if self.stage in ON_CONTROLLER:
            return ""
        return "kvm1" if self.stage in ON_REGISTRY else self.host


def load(path: pathlib.Path) -> Case:
    """Return the case in a file."""
    told = yaml.safe_load(path.read_text())
    known = {"run", "when", "fault", "host", "instances", "apart", "fast", "expect"}
    if set(told) - known:
        raise CaseError(f"{path.name}: {', '.join(sorted(set(told) - known))}: there is {', '.join(sorted(known))}")
    when, expect = told.get("when") or {}, told.get("expect") or {}
    points = [point for point in POINTS if point in when]
    stage = when[points[0]] if points else ""
    for what, value, choices in (
        ("fault", told["fault"], tuple(FAULTS)),
        ("run", told["run"], ("boot", "delete")),
        ("stage", stage or "report", STAGES),
        ("expect.remedy", expect.get("remedy", ""), ("", "rebuild.yml")),
    ):
        if value not in choices:
            raise CaseError(f"{path.name}: {what} is '{value}': there is {', '.join(choices)}")
    return Case(
        name=path.stem,
        run=told["run"],
        fault=told["fault"],
        point=points[0] if points else "",
        stage=stage,
        task=when.get("task", ""),
        seconds=when.get("seconds", 0.15),
        host=told.get("host", "kvm3"),
        count=told.get("instances", 3),
        group=told.get("apart", True),
        fast=told.get("fast", False),
        left=expect.get("left") or {},
        says=expect.get("says", ""),
        remedy=expect.get("remedy", ""),
    )


def all_cases() -> list[Case]:
    """Return all cases: boot first, stage by stage."""
    cases = [load(path) for path in sorted(CASES.glob("*.yml"))]
    rank = {"": -1, **{stage: number for number, stage in enumerate(STAGES)}}
    return sorted(
        cases, key=lambda one: (one.alone, one.run, rank[one.stage], (*POINTS, "").index(one.point), one.name)
    )
