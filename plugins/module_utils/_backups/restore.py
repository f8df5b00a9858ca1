# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of an instance as a backup has them; the disks that were there go when the new ones are whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from .. import _qemu_img
from .._bulk import Outcome
from .._files import UNFINISHED, instance_directory, instance_lock, locked, plainly, read_json, sync, write_whole
from .._hypervisor import backup_job
from .._model.errors import ItemError
from .._model.volume import SERVED
from .._model.volume_keys import passphrase
from .._volumes import file, lvm, qcow2, raw, rbd
from .._volumes.backends import BACKENDS
from .._volumes.volume import RESTORED, Volume
from . import source, store
from .backup import records, store_of
from .source import COPY_SECONDS, Place, Source
from .store import Copy, Record

# How a prepared volume takes the place of one that is there, where it does not do so by getting its name.
DISPLACE = {"rbd": rbd.displace, "lvm": lvm.displace}


def look(connection: Any, item: dict[str, Any], place: Place) -> Outcome:
    """Return what a run would do."""
    origin, chain = _checked(connection, item, place)
    return _outcome(item, changed=not _done(origin, chain[0], place))


def provide(connection: Any, item: dict[str, Any], place: Place) -> Outcome:
    """The disks are as in the backup, if they are not so since the last restore; the instance is off."""
    lock = instance_lock(place.run_dir, item["instance"]["uuid"])
    with plainly("the backup could not be restored"), locked(lock):
        origin, chain = _checked(connection, item, place)
        if _done(origin, chain[0], place):
            return _outcome(item, changed=False)
        for record in chain:
            _verify(record)
        there = {copy.volume: origin.volumes[copy.volume] for copy in chain[0].copies}
        for copy in chain[0].copies:
            _write(there[copy.volume], copy, place.keys)
        for volume in there.values():
            DISPLACE.get(volume.backend, BACKENDS[volume.backend].publish)(volume)
        sync(os.path.dirname(_note_path(origin, place)))
        # The disks do not have the bitmaps of these any more: the next backup is a full one.
        backup_job.forget(origin.domain, backup_job.checkpoints(origin.domain), only_names=True)
        write_whole(_note_path(origin, place), json.dumps(_note(origin, chain[0])).encode(), 0o600)
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
    lost = [one.volume for one in chain[0].copies if one.volume not in origin.volumes]
    if lost:
        told = f"backup {chain[0].name} has the volume {', '.join(lost)} and {origin.name} has not: attach it first"
        raise ItemError(told, fault="request")
    for one in chain[0].copies:
        if one.encrypted != bool(origin.volumes[one.volume].encryption):
            told = f"volume {one.volume} of {origin.name} is {'plain' if one.encrypted else 'encrypted'}"
            raise ItemError(f"{told}, and its copy in backup {chain[0].name} is not: retype it first", fault="request")
    return origin, chain


def _verify(record: Record) -> None:
    """The files of the backup are what was written then."""
    for copy in record.copies:
        if store.digest(copy.path) != copy.checksum:
            raise ItemError(f"{copy.path} was altered or is damaged: restore an earlier backup", fault="request")


def _write(volume: Volume, copy: Copy, keys: Mapping[str, Any]) -> None:
    """The disk is written beside the one that is there, on no other file, and at least as large as that.

    What a storage server has is written in its place, as there is no other.
    """
    backend, key = BACKENDS[volume.backend], passphrase(asdict(volume), keys)
    source, what = _opened(copy), f"restore {volume.path}"
    unfinished = volume.path + ("" if volume.backend in SERVED else UNFINISHED)
    size = max(volume.size, copy.virtual_size)
    if backend.FILES:
        if os.path.lexists(unfinished):
            os.unlink(unfinished)
        formats = raw.LUKS if volume.format == "raw" and key else [volume.format, *(qcow2.LUKS if key else [])]
        _convert(["-O", *formats, "--image-opts", source, unfinished], what, key)
        if copy.virtual_size < size:
            arguments = ["resize", "-q", "--image-opts", backend.opened(volume, unfinished), str(size)]
            _qemu_img.run(arguments, f"grow {unfinished}", passphrase=key)
        os.chmod(unfinished, 0o600)
        sync(unfinished)
        return
    if volume.backend not in SERVED:
        backend.prepare(replace(volume, size=size, base="", base_format="", guest_format=""), key)
    _convert(["-n", "--image-opts", "--target-image-opts", source, backend.opened(volume, unfinished)], what, key)


def _convert(arguments: list[str], what: str, key: str) -> None:
    _qemu_img.run(["convert", *arguments], what, cpu_seconds=COPY_SECONDS, address_space=0, passphrase=key)


def _opened(copy: Copy) -> str:
    """Return how qemu-img opens a copy, with those it lies on."""
    return file.with_options("driver=qcow2" + (",encrypt.key-secret=key" if copy.encrypted else ""), copy.path)


def _done(origin: Source, record: Record, place: Place) -> bool:
    """Say whether the disks are as they were restored: files by their times, others by what is in them."""
    if _note(origin, record) != read_json(_note_path(origin, place)):
        return False
    return all(_equal(origin.volumes[one.volume], one, place.keys) for one in record.copies)


def _equal(volume: Volume, copy: Copy, keys: Mapping[str, Any]) -> bool:
    """Say whether a disk that is no file holds what its copy holds."""
    backend = BACKENDS[volume.backend]
    if backend.FILES:
        return True
    arguments = ["compare", "-q", "--image-opts", _opened(copy), backend.opened(volume, volume.path)]
    key, what = passphrase(asdict(volume), keys), f"compare {volume.path} with {copy.path}"
    return _qemu_img.run(arguments, what, COPY_SECONDS, 0, passphrase=key, harmless=(1,)) is not None


def _note(origin: Source, record: Record) -> dict[str, Any]:
    """Return what tells that nothing was written since: the files with their times."""
    named = [origin.volumes[one.volume] for one in record.copies]
    states = {one.name: os.stat(one.path) for one in named if BACKENDS[one.backend].FILES}
    disks = {name: [one.st_size, one.st_mtime_ns] for name, one in sorted(states.items())}
    return {"backup": record.name, "disks": disks}


def _note_path(origin: Source, place: Place) -> str:
    return os.path.join(instance_directory(place.state_dir, origin.uuid), RESTORED)


def _outcome(item: dict[str, Any], changed: bool) -> Outcome:
    after = {"disks": f"of backup {item['name']}"} if changed else {}
    return Outcome(item["instance"]["name"], changed=changed, after=after, facts={"backup": item["name"]})
