# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of snapshots and backups, and what of it is stray. It changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

from .._files import instance_lock, is_uuid, locked
from .._hypervisor import backup_job
from . import store
from .backup import records
from .store import Record

YOUNG = 15  # seconds in which a file may be about to get its record


def listed(snapshots: str, backups: str) -> dict[str, list[dict[str, Any]]]:
    """Return the snapshots and the backups that are whole."""
    kept = [one for uuid in folders(backups) for one in records(os.path.join(backups, uuid))]
    return {"snapshots": [told(one) for one in records(snapshots)], "backups": [told(one) for one in kept]}


def told(record: Record) -> dict[str, Any]:
    """Return what is told of one."""
    keys = ("name", "instance", "uuid", "created_at", "quiesced", "parent", "size")
    return {**{key: getattr(record, key) for key in keys}, "image": record.catalogue}


def folders(backups: str) -> list[str]:
    """Return the uuids of the instances that have backups."""
    try:
        return sorted(one for one in os.listdir(backups) if is_uuid(one))
    except FileNotFoundError:
        return []


def stray_files(snapshots: str, backups: str, run_dir: str) -> list[str]:
    """Return a sentence for each file that belongs to nothing; those of an instance at work are left out."""
    found = [os.path.join(snapshots, one) for one in store.unfinished(snapshots)]
    for uuid in folders(backups):
        if not busy(uuid, run_dir):
            directory = os.path.join(backups, uuid)
            found += [os.path.join(directory, one) for one in store.unfinished(directory)]
    return [f"{path} belongs to no snapshot or backup; rm {path}" for path in found if not young(path)]


def stray_jobs(
    connection: Any, instances: Iterable[dict[str, Any]], snapshots: str, backups: str, run_dir: str
) -> list[str]:
    """Return a sentence for each job and checkpoint of ours that no run is at work on."""
    found = []
    for one in instances:
        if busy(one["uuid"], run_dir):
            continue
        domain = backup_job.find(connection, one["uuid"], one["name"])
        writes = backup_job.written(domain)
        if any(path.startswith((f"{snapshots}/", f"{backups}/")) for path in writes):
            found.append(f"{one['name']} is being copied to {writes[0]} and no run waits for it; make that copy again")
        last = {backup_job.PREFIX + each.name for each in records(store.instance_store(backups, one["uuid"]))[-1:]}
        stray = [name for name in backup_job.checkpoints(domain) if name not in last]
        found += [f"{one['name']} has checkpoint {name} of no backup; back it up once more" for name in stray]
    return found


def busy(uuid: str, run_dir: str) -> bool:
    """Say whether a run is at work on the instance."""
    path = instance_lock(run_dir, uuid)
    if not os.path.exists(path):
        return False
    with locked(path, deadline=time.monotonic()) as held:
        return not held


def young(path: str) -> bool:
    """Say whether somebody wrote to the file just now; a copy that goes on is written to all the time."""
    try:
        return time.time() - os.stat(path).st_mtime < YOUNG
    except FileNotFoundError:
        return True
