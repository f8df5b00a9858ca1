# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let faults happen in the middle of runs over a lab, run again, and see that every promise holds.

Some cases share what comes after them: so a run finds what many broken ones left.
"""

from __future__ import annotations

import argparse
import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "collections"))
os.environ.setdefault("LAB_NAME", "vflfault")
os.environ.setdefault("LAB_NET", "10.75.0.0/16")

import invariants
import table
from case import Case, all_cases
from faults import FAULTS, REGISTRY
from fleet import STANDING, Fleet, Moment, Run, Watch, entry

TOGETHER = 6  # cases that share a recovery: their guests, three each, and the standing ones all find room


# Faults of which nobody can say, while they last, whether the guests of the host run: what is there stays claimed.
LOST = ("the host loses its power", "the cable of the host is pulled", "the host hangs")


@dataclass
class Outcome:
    """What came of a case: how the run with the fault ended, what it left, and all that was wrong."""

    case: Case
    ended: str = ""
    left: str = ""
    then: str = ""
    wrong: list[str] = field(default_factory=list)


class Trial:
    """Some cases with one recovery, over a fleet that is well before and after it."""

    def __init__(self, fleet: Fleet, cases: list[Case], watch: Watch):
        self.fleet, self.watch = fleet, watch
        self.outcomes = [Outcome(case) for case in cases]
        self.entries = [entry(case.name, case.count, case.group) for case in cases]
        self.names = [name for case in cases for name in case.names]
        self.deletes = cases[0].run == "delete"
        self.lost: set[str] = set()

    def go(self) -> list[Outcome]:
        """Return what came of each case."""
        if self.deletes:
            self._expect("the boot before", self.fleet.boot(self.entries))
        before = self.fleet.look()
        self.strangers, self.standing = invariants.strangers(before), invariants.standing(before, STANDING)
        for outcome, one in zip(self.outcomes, self.entries):
            self._hurt(outcome, one)
        self._recover()
        self._clear()
        return self.outcomes

    # The fault

    def _hurt(self, outcome: Outcome, one: dict) -> None:
        """The run of one case has ended, as the fault let it, and what it left is noted."""
        case, (happens, ends) = outcome.case, FAULTS[outcome.case.fault]
        happen = functools.partial(happens, self.fleet, case.host)
        moment = None
        if case.point:
            task = case.stage + (f" : {case.task}" if case.task else " ")
            moment = Moment(self.fleet, case.point, task, happen, case.module_host, case.seconds)
        else:
            happen(None)
        run = self.fleet.delete(case.names, moment) if self.deletes else self.fleet.boot([one], moment)
        if moment and not moment.came:
            outcome.wrong.append(f"the moment never came: {run.output[-400:]}")
        if case.fault == "the host loses its power":
            self.lost.add(case.host)
        outcome.ended = self._ended(case, run)
        self._note(outcome, run)
        ends(self.fleet, case.host)
        if case.remedy:
            self._expect("the boot that is refused", Run(int(run.code == 0), run.output))
            self._rebuild()

    def _rebuild(self) -> None:
        """The damaged registry is put away and made anew from the hosts, as its message says."""
        self.fleet.inside("kvm1", f"mkdir -p /root/damaged && mv {REGISTRY}/registry.db* /root/damaged")
        self._expect("the rebuild", self.fleet.boot([], playbook="rebuild.yml"))

    def _ended(self, case: Case, run: Run) -> str:
        """Return how the run with the fault ended, in words."""
        if run.code == -9:
            return "killed"
        count = len(failed(case, run))
        if count:
            return f"says that {count} of {case.count} failed, and why"
        return "ends well" if run.code == 0 else "stops and says why"

    def _note(self, outcome: Outcome, run: Run) -> None:
        """What the run left is compared with what was to be left, and with what must hold at any moment."""
        case, seen = outcome.case, self.fleet.look()
        outcome.wrong += self._checked(seen)
        traces = invariants.traces(seen, case.names)
        kinds = {kind for found in traces.values() for kind in found}
        outcome.left = ", ".join(kind for kind in invariants.KINDS if kind in kinds) or "nothing"
        for what, wanted in case.left.items():
            has = {"all": all, "some": any}[what](set(wanted) <= set(found) for found in traces.values())
            if not has:
                outcome.wrong.append(f"{what} of its instances should have {', '.join(wanted)}: {traces}")
        if case.left.get("all") == []:
            outcome.wrong += invariants.left(seen, case.names)
        if case.fault not in LOST:
            outcome.wrong += invariants.left(seen, failed(case, run, undone=True))
        if case.says and case.says not in run.output:
            outcome.wrong.append(f"it does not say '{case.says}': {run.output[-800:]}")
        if "Traceback" in run.output:
            outcome.wrong.append(f"it shows a traceback: {run.output[-1500:]}")

    def _checked(self, seen: invariants.Seen) -> list[str]:
        """Return what is broken of what must hold at any moment."""
        keep = {host: one for host, one in self.standing.items() if host not in self.lost}
        return [
            *invariants.broken(seen),
            *invariants.touched(self._known(self.strangers), invariants.strangers(seen)),
            *invariants.changed(keep, invariants.standing(seen, STANDING)),
            *(f"{uuid} ran twice at once" for uuid in sorted(self.watch.twice)),
        ]

    def _known(self, told: dict) -> dict:
        """Return what was seen on the hosts that did not lose their power meanwhile."""
        return {host: one for host, one in told.items() if host not in self.lost}

    # What comes after

    def _recover(self) -> None:
        """The same run again comes to its end, a third changes nothing, and the audit finds nothing."""
        if self.lost and self.deletes:
            self._expect("the boot of what stands", self.fleet.boot([]))
        again = self._run()
        self._expect("the next run", again)
        self._check_end()
        with ThreadPoolExecutor(2) as pool:
            third, audit = pool.submit(self._run), pool.submit(self.fleet.play, "playbooks/audit.yml")
        self._expect("the run after that", third.result())
        if third.result().changed:
            self._blame(f"the run after that changes {third.result().changed} things")
        self._expect("the audit", audit.result())
        for outcome in self.outcomes:
            outcome.then = "converges; then nothing changes, the audit is clean" if not outcome.wrong else "BROKEN"

    def _run(self) -> Run:
        """Run the same once more, with nothing in its way."""
        return self.fleet.delete(self.names) if self.deletes else self.fleet.boot(self.entries)

    def _check_end(self) -> None:
        """Everything is as the request says, and nothing else was touched."""
        seen = self.fleet.look()
        at_end = invariants.left if self.deletes else invariants.missing
        for sentence in [*self._checked(seen), *at_end(seen, self.names)]:
            self._blame(sentence)

    def _clear(self) -> None:
        """Nothing is left of the cases; their standing neighbours stay."""
        if not self.deletes:
            self._expect("the delete", self.fleet.delete(self.names))
            for sentence in invariants.left(self.fleet.look(), self.names):
                self._blame(f"after the delete {sentence}")

    def _expect(self, what: str, run: Run) -> None:
        """Whoever is to blame for a run that failed has it written down."""
        if run.code:
            self._blame(f"{what} fails: {run.output[-1500:]}")

    def _blame(self, sentence: str) -> None:
        """A sentence about one case goes to that case, any other to all."""
        named = [one for one in self.outcomes if f"{one.case.name}-" in sentence or f"{one.case.name} " in sentence]
        for outcome in named or self.outcomes:
            outcome.wrong.append(sentence)


def failed(case: Case, run: Run, undone: bool = False) -> list[str]:
    """Return the instances of the case that the run says have failed; with `undone` only what was taken back."""
    said = re.findall(r" instances failed: (.*)", run.output)
    reasons = {
        name: one
        for text in said
        for one in re.split(r"; (?=\S+ on )", text)
        for name in case.names
        if f"{name} on " in one
    }
    return [name for name, reason in reasons.items() if not (undone and "could not be undone" in reason)]


def tried(fleet: Fleet, cases: list[Case], watch: Watch) -> list[Outcome]:
    """Return what came of some cases; where the trial itself breaks, the fleet is mended for the next one."""
    trial = Trial(fleet, cases, watch)
    try:
        return trial.go()
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        for outcome in trial.outcomes:
            outcome.wrong.append(f"the trial broke: {error}")
        fleet.mend()
        return trial.outcomes


def trials(cases: list[Case]) -> list[list[Case]]:
    """Return the cases in groups that share a recovery."""
    groups: list[list[Case]] = []
    for case in cases:
        last = groups[-1] if groups else []
        fits = last and not (case.alone or last[0].alone) and case.run == last[0].run and len(last) < TOGETHER
        groups = [*groups[:-1], [*last, case]] if fits else [*groups, [case]]
    return groups


def chosen(options: argparse.Namespace) -> list[Case]:
    """Return the cases that are asked for."""
    cases = all_cases()
    unknown = set(options.cases) - {one.name for one in cases}
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}: see tests/faults/cases")
    return [one for one in cases if (one.name in options.cases if options.cases else one.fast or not options.fast)]


def main() -> int:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("cases", nargs="*", help="the cases to run, all unless told otherwise")
    top.add_argument("--fast", action="store_true", help="only those marked as fast")
    top.add_argument("--keep", action="store_true", help="leave the lab up")
    top.add_argument("--table", action="store_true", help="write the outcomes down, and docs/faults.md from them")
    options = top.parse_args()
    cases, began = chosen(options), time.monotonic()
    fleet = Fleet(3, pathlib.Path(tempfile.mkdtemp(prefix="virtfleet-faults-")))
    outcomes: list[Outcome] = []
    try:
        fleet.up()
        standing = fleet.boot([])
        if standing.code:
            raise SystemExit(standing.output)
        watch = Watch(fleet)
        watch.start()
        for group in trials(cases):
            outcomes += tried(fleet, group, watch)
            for outcome in outcomes[-len(group) :]:
                print(table.line(outcome, time.monotonic() - began), flush=True)
            if options.table:
                table.remember(outcomes)
                table.write()
        watch.over.set()
    finally:
        if not options.keep:
            fleet.lab("down")
    wrong = [one for one in outcomes if one.wrong]
    print(f"{len(outcomes) - len(wrong)} of {len(outcomes)} cases hold; logs of all runs: {fleet.logs}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
