# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs that were killed left of snapshots and backups, for the audit and the sweep. Private to this collection."""

from __future__ import annotations

import os

from .._files import instance_lock, locked, plainly, remove_files
from .._hypervisor.traces import ours
from .._model.errors import ItemError
from .._model.trace import Place, Trace
from .._volumes.traces import ages
from . import store
from .inventory import busy, folders, stray_jobs, young


def find_copies(place: Place) -> list[Trace]:
    """Return files that belong to no snapshot or backup, and jobs and checkpoints of ours that no run waits for."""
    snapshots, backups = _directories(place)
    found = [_file(os.path.join(snapshots, name), "") for name in store.unfinished(snapshots)]
    for uuid in folders(backups):
        directory = os.path.join(backups, uuid)
        if not busy(uuid, place.run_dir):
            found += [_file(os.path.join(directory, name), uuid) for name in store.unfinished(directory)]
    for uuid, name in sorted(ours(place).items()):
        for told in stray_jobs(place.connection, [{"uuid": uuid, "name": name}], snapshots, backups, place.run_dir):
            evidence, _semicolon, remedy = told.partition("; ")
            found.append(Trace("copy", evidence, evidence, remedy, within=uuid, removable=False))
    return [one for one in found if not (one.removable and young(one.name))]


def remove_copy(place: Place, trace: Trace) -> None:
    """The file is gone, if it still belongs to nothing; one that is written to is under the lock waited for here."""
    directory, name = os.path.split(trace.name)
    with (
        plainly(f"{trace.name} could not be removed"),
        locked(instance_lock(place.run_dir, trace.within or "snapshots")),
    ):
        if directory not in _homes(place) or name not in store.unfinished(directory) or young(trace.name):
            raise ItemError(f"{trace.name} is not left over any more: nothing was removed")
        remove_files(directory, {name}, keep_directory=True)


def _file(path: str, within: str) -> Trace:
    age, old = ages([path])
    evidence = f"{path} belongs to no snapshot or backup"
    return Trace("copy", path, evidence, f"rm {path}", within=within, age=age, old=old)


def _directories(place: Place) -> tuple[str, str]:
    usual = [os.path.join(place.state_dir, name) for name in ("snapshots", "backups")]
    return place.snapshots or usual[0], place.backups or usual[1]


def _homes(place: Place) -> set[str]:
    snapshots, backups = _directories(place)
    return {snapshots, *(os.path.join(backups, uuid) for uuid in folders(backups))}
