# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of an instance as a backup has them; the disks that were there go when the new ones are whole."""

from __future__ import annotations

import json
import os
from typing import Any

from .. import _qemu_img
from .._bulk import Outcome
from .._files import UNFINISHED, instance_directory, instance_lock, locked, plainly, read_json, sync, write_whole
from .._hypervisor import backup_job
from .._model.errors import ItemError
from .._volumes.volume import RESTORED, Volume
from . import source, store
from .backup import records, store_of
from .source import Place, Source
from .store import Record


def look(connection: Any, item: dict[str, Any], place: Place) -> Outcome:
    """Return what a run would do."""
    origin, _chain = _checked(connection, item, place)
    return _outcome(item, changed=_note(origin, item["name"]) != read_json(_note_path(origin, place)))


def provide(connection: Any, item: dict[str, Any], place: Place) -> Outcome:
    """The disks are as in the backup, if they are not so since the last restore; the instance is off."""
    lock = instance_lock(place.run_dir, item["instance"]["uuid"])
    with plainly("the backup could not be restored"), locked(lock):
        origin, chain = _checked(connection, item, place)
        if _note(origin, item["name"]) == read_json(_note_path(origin, place)):
            return _outcome(item, changed=False)
        for record in chain:
            _verify(record)
        for copy in chain[0].copies:
            _write(origin.volumes[copy.volume], copy.path)
        for copy in chain[0].copies:
            os.rename(origin.volumes[copy.volume].path + UNFINISHED, origin.volumes[copy.volume].path)
        sync(os.path.dirname(_note_path(origin, place)))
        # The disks do not have the bitmaps of these any more: the next backup is a full one.
        backup_job.forget(origin.domain, backup_job.checkpoints(origin.domain), only_names=True)
        write_whole(_note_path(origin, place), json.dumps(_note(origin, item["name"])).encode(), 0o600)
        return _outcome(item, changed=True)


def _checked(connection: Any, item: dict[str, Any], place: Place) -> tuple[Source, list[Record]]:
    """Return the instance, which is off, and the backup with those it lies on, the nearest first."""
    directory, name = store_of(item, place), store.checked_name(item["name"])
    origin = source.find(connection, item["instance"], place)
    chain: list[Record] = []
    while name:
        record = store.read(directory, name)
        if record is None:
            known = ", ".join(one.name for one in records(directory)) or "none"
            raise ItemError(f"there is no backup {name} of {origin.name} in {directory}: there is {known}", "request")
        chain.append(record)
        name = record.parent
    if origin.running:
        raise ItemError(f"{origin.name} runs: stop it first, with state: stopped and boot.yml", fault="request")
    if {one.volume for one in chain[0].copies} != set(origin.volumes):
        raise ItemError(f"backup {chain[0].name} is of other volumes than {origin.name} has", fault="request")
    return origin, chain


def _verify(record: Record) -> None:
    """The files of the backup are what was written then."""
    for copy in record.copies:
        if store.digest(copy.path) != copy.checksum:
            raise ItemError(f"{copy.path} was altered or is damaged: restore an earlier backup", fault="request")


def _write(volume: Volume, path: str) -> None:
    """The disk is written beside the one that is there, on no other file, and at least as large as that."""
    unfinished = volume.path + UNFINISHED
    if os.path.lexists(unfinished):
        os.unlink(unfinished)
    arguments = ["convert", "-f", "qcow2", "-O", volume.format, path, unfinished]
    _qemu_img.run(arguments, f"restore {volume.path}", cpu_seconds=3600)
    told = json.loads(
        _qemu_img.run(["info", "-f", volume.format, "--output", "json", unfinished], f"inspect {unfinished}")
    )
    if told["virtual-size"] < volume.size:
        _qemu_img.run(["resize", "-q", "-f", volume.format, unfinished, str(volume.size)], f"grow {unfinished}")
    os.chmod(unfinished, 0o600)
    sync(unfinished)


def _note(origin: Source, name: str) -> dict[str, Any]:
    """Return what tells that nothing was written since: the disks with their times."""
    states = {key: os.stat(one.path) for key, one in sorted(origin.volumes.items())}
    return {"backup": name, "disks": {key: [one.st_size, one.st_mtime_ns] for key, one in states.items()}}


def _note_path(origin: Source, place: Place) -> str:
    return os.path.join(instance_directory(place.state_dir, origin.uuid), RESTORED)


def _outcome(item: dict[str, Any], changed: bool) -> Outcome:
    after = {"disks": f"of backup {item['name']}"} if changed else {}
    return Outcome(item["instance"]["name"], changed=changed, after=after, facts={"backup": item["name"]})
