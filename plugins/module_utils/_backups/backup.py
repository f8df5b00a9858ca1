# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of all volumes of an instance: whole, or what changed since the one before, on which its files then lie."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from .. import _qemu_img
from .._bulk import Outcome
from .._files import UNFINISHED, instance_lock, locked, plainly
from .._hypervisor import backup_job
from .._model.errors import ItemError
from . import source, store
from .source import Place, Source
from .store import Copy, Record


def store_of(item: dict[str, Any], place: Place) -> str:
    """Return where the backups of the item's instance are."""
    return store.instance_store(place.directory, item["instance"]["uuid"])


def records(directory: str) -> list[Record]:
    """Return the backups in the directory that are whole, the oldest first."""
    found = []
    for name in store.names(directory):
        try:
            found.append(store.read(directory, name))
        except ItemError:
            continue  # told when it is asked for
    return sorted((one for one in found if one), key=lambda one: (one.created_at, one.name))


def look(connection: Any, item: dict[str, Any], place: Place) -> Outcome:
    """Return what a run would do."""
    found = store.read(store_of(item, place), store.checked_name(item["name"]))
    if found is None:
        _why_full(_origin(connection, item, place), item, records(store_of(item, place)))
    return _outcome(item, found, changed=found is None)


def provide(connection: Any, item: dict[str, Any], place: Place) -> Outcome:
    """The backup is there; one of that name that is there already stays as it is."""
    with plainly("the backup could not be made"), locked(instance_lock(place.run_dir, item["instance"]["uuid"])):
        found = store.read(store_of(item, place), store.checked_name(item["name"]))
        if found:
            return _outcome(item, found, changed=False)
        origin = _origin(connection, item, place)
        source.abandon(origin, place)
        known = records(store_of(item, place))
        why = _why_full(origin, item, known)
        parent = None if why or item["kind"] == "full" else known[-1]
        return _outcome(item, _make(origin, item, place, known, parent), changed=True, why_full=why)


def look_removed(item: dict[str, Any], place: Place) -> Outcome:
    """Return what a run would remove; ItemError if another backup lies on it."""
    directory, name = store_of(item, place), store.checked_name(item["name"])
    there = name in store.names(directory)
    needed_by = [one.name for one in records(directory) if one.parent == name]
    if needed_by:
        raise ItemError(f"backup {name} is needed by {', '.join(needed_by)}: delete that first", fault="request")
    return Outcome(item["instance"]["name"], there, before={"backup": name} if there else {})


def withdraw(item: dict[str, Any], place: Place) -> Outcome:
    """The backup is gone."""
    with plainly("the backup could not be removed"), locked(instance_lock(place.run_dir, item["instance"]["uuid"])):
        outcome = look_removed(item, place)
        store.remove(store_of(item, place), item["name"])
        return outcome


def _origin(connection: Any, item: dict[str, Any], place: Place) -> Source:
    return source.find(connection, item["instance"], place, alone=item.get("volumes") != "own")


def _make(origin: Source, item: dict[str, Any], place: Place, known: list[Record], parent: Record | None) -> Record:
    """Make the backup, a whole one or with what changed since `parent`; `known` are those that are there."""
    directory, name = store_of(item, place), item["name"]
    store.sweep(directory)
    _tidy(origin, known)
    files = {volume: os.path.join(directory, f"{name}@{volume}.qcow2{UNFINISHED}") for volume in origin.volumes}
    point = "" if _untracked(origin) else backup_job.PREFIX + name
    try:
        how = {"since": backup_job.PREFIX + parent.name, "checkpoint": point} if parent else {"checkpoint": point}
        source.copy(origin, files, place, quiesce=item["quiesce"] and origin.running, **how)
        copies = [_laid_on(parent, volume, path) for volume, path in files.items()]
    except ItemError:
        store.sweep(directory)
        _tidy(origin, known)
        raise
    paths = source.publish(files)
    quiesced = bool(item["quiesce"]) or not origin.running
    whole = tuple(replace(one, path=paths[one.volume]) for one in copies)
    record = Record(name, origin.name, origin.uuid, source.now(), quiesced, whole, parent.name if parent else "")
    store.keep(directory, record)
    _tidy(origin, records(directory))
    return record


def _untracked(origin: Source) -> str:
    """Return why QEMU does not keep what is written to the disks: only plain qcow2 can, and only while it runs."""
    other = [one.name for one in origin.volumes.values() if one.format != "qcow2"]
    locked = [one.name for one in origin.volumes.values() if one.encryption]
    if not origin.running:
        return "the guest is off, and only a running one counts what it writes"
    if other:
        return f"disk {', '.join(other)} is no qcow2 file, and nothing else remembers what is written to it"
    return f"disk {', '.join(locked)} is encrypted, and such a copy is always a whole one" if locked else ""


def _why_full(origin: Source, item: dict[str, Any], known: list[Record]) -> str:
    """Return why the backup cannot go on from the last one, empty if it can or need not; ItemError if it must."""
    if item["kind"] == "full":
        return ""
    why = _untracked(origin) or _unrelated(origin, known[-1:])
    if why and item["kind"] == "incremental":
        told = f"{origin.name} has no incremental backup: {why}; nothing was copied"
        raise ItemError(f"{told}: take kind full, or auto for a full one where it must be", fault="request")
    return why


def _unrelated(origin: Source, last: list[Record]) -> str:
    """Return why the guest does not count from the last backup on."""
    if not last:
        return "there is no backup that it could go on from"
    if backup_job.PREFIX + last[0].name not in backup_job.checkpoints(origin.domain):
        return f"the guest does not count from the last backup {last[0].name} on, as after a restore or a stop"
    different = {one.volume for one in last[0].copies} != set(origin.volumes)
    return f"the last backup {last[0].name} is of other volumes" if different else ""


def _laid_on(parent: Record | None, volume: str, path: str) -> Copy:
    """Return the file of a volume, which lies on that of the parent if there is one, by a name without folders."""
    if parent is None:
        return store.examined(volume, path)
    below = os.path.basename(next(one.path for one in parent.copies if one.volume == volume))
    _qemu_img.run(["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below, path], f"lay {path} on {below}")
    return store.examined(volume, path, below)


def _tidy(origin: Source, known: list[Record]) -> None:
    """No checkpoint of ours is left but that of the last backup: others only cost, and a killed run may leave one."""
    if origin.running:
        last = {backup_job.PREFIX + one.name for one in known[-1:]}
        backup_job.forget(origin.domain, [one for one in backup_job.checkpoints(origin.domain) if one not in last])


def _outcome(item: dict[str, Any], record: Record | None, changed: bool, why_full: str = "") -> Outcome:
    facts = {"backup": item["name"], "why_full": why_full}
    if record:
        kind = "incremental" if record.parent else "full"
        facts.update({"kind": kind, "parent": record.parent, "size": record.size, "quiesced": record.quiesced})
        facts["created_at"] = record.created_at
    return Outcome(
        item["instance"]["name"], changed=changed, after={"backup": item["name"]} if changed else {}, facts=facts
    )
