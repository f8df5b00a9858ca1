# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry is asked of hosts that were seen a moment ago, and the records of a run that need not ask them.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..module_utils._model.host import POWER_OF_STATE
from ._request.requests import known
from ._run import handed_on

Record = dict[str, Any]
COMPARED = ("uuid", "name", "state", "spec_digest")


def asked(records: Iterable[Record], cells: Mapping[str, str] | None = None, cell: str | None = None) -> list[Record]:
    """Return what a registry compares; to that of a cell the instances of other cells are to be absent."""
    told = [{key: one.get(key) for key in COMPARED} for one in records]
    if cell is None:
        return told
    return [{**one, "state": one["state"] if (cells or {}).get(one["uuid"]) == cell else "absent"} for one in told]


def spared(run: Mapping[str, Any], records: Iterable[Record], found: Iterable[Mapping[str, Any]]) -> Record:
    """Return what the next stage finds where no host need be asked; `found` is what the registry has."""
    return handed_on({**run, "unsettled": False}, as_they_are(records, found))


def as_they_are(records: Iterable[Record], found: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Return the records of a run that has nothing to do, those that are there with their host, age and addresses."""
    found = list(found)
    there = {one["uuid"] for one in found}
    return [
        {**one, "failed": False, "existing": one["uuid"] in there, "todo": "none", **power(one, there)}
        for one in known(records, found)
    ]


def power(record: Record, there: set[str]) -> Record:
    """Return the power state of an instance that is there."""
    return {"power_state": POWER_OF_STATE[record["state"]]} if record["uuid"] in there else {}


def over_cells(run: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Record:
    """Return what the next stage finds after the registries of the cells were asked, of which one may not answer."""
    results, records = list(results), run["instances"]
    if not all(one.get("recent") for one in results):
        return handed_on(run, records, recent=False)
    found = [one for result in results for one in result["instances"]]
    age = max([run["age"], *(one["age"] for one in results)])
    return {**spared(run, records, found), "recent": True, "age": age}
