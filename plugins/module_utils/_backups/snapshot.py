# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume of an instance as an image of the catalogue: in one file that lies on no other."""

from __future__ import annotations

import os
from typing import Any

from .._bulk import Outcome
from .._files import UNFINISHED, instance_lock, locked, plainly
from .._model.errors import ItemError
from . import source, store
from .source import Place
from .store import Record


def look(item: dict[str, Any], place: Place) -> Outcome:
    """Return what a run would do."""
    found = _found(item, place)
    return _outcome(item, found, changed=found is None)


def provide(connection: Any, item: dict[str, Any], place: Place) -> Outcome:
    """The snapshot is there; one that is there already stays as it is."""
    found = _found(item, place)
    if found:
        return _outcome(item, found, changed=False)
    with plainly("the snapshot could not be made"), locked(instance_lock(place.run_dir, item["instance"]["uuid"])):
        found = _found(item, place)
        return _outcome(item, found or _make(connection, item, place), changed=found is None)


def look_removed(name: str, place: Place) -> Outcome:
    """Return what a run would remove."""
    store.checked_name(name)
    there = name in store.names(place.directory)
    return Outcome(name, there, before={"snapshot": os.path.join(place.directory, f"{name}.qcow2")} if there else {})


def withdraw(name: str, place: Place) -> Outcome:
    """The snapshot is gone; guests that were made from it have a copy in the image cache."""
    outcome = look_removed(name, place)
    with plainly("the snapshot could not be removed"):
        store.remove(place.directory, name)
    return outcome


def _found(item: dict[str, Any], place: Place) -> Record | None:
    """Return the snapshot of that name; ItemError if it is one of another disk."""
    record = store.read(place.directory, store.checked_name(item["name"]))
    wanted = (item["instance"]["uuid"], item["volume"])
    if record and (record.uuid, record.copies[0].volume) != wanted:
        raise ItemError(
            f"snapshot {record.name} is one of volume {record.copies[0].volume} of {record.instance}: "
            "take another name or delete it first",
            fault="request",
        )
    return record


def _make(connection: Any, item: dict[str, Any], place: Place) -> Record:
    name, volume = item["name"], item["volume"]
    origin = source.find(connection, item["instance"], place, alone=False)
    if volume not in origin.volumes:
        origin = source.find(connection, item["instance"], place)
    if volume not in origin.volumes:
        known = ", ".join(sorted(origin.volumes))
        raise ItemError(f"{origin.name} has no volume {volume!r}: it has {known}", fault="request")
    plain = bool(item.get("plain"))
    if origin.volumes[volume].encryption and not plain:
        told = f"volume {volume} of {origin.name} is encrypted, and a snapshot is an image in clear"
        raise ItemError(f"{told}: make a backup, which is encrypted too, or say plain: true", fault="request")
    source.abandon(origin, place)
    unfinished = os.path.join(place.directory, f"{name}.qcow2{UNFINISHED}")
    _remove(unfinished)
    try:
        source.copy(origin, {volume: unfinished}, place, plain, quiesce=item["quiesce"] and origin.running)
        copy = store.examined(volume, unfinished)
    except ItemError:
        _remove(unfinished)
        raise
    path = source.publish({volume: unfinished})[volume]
    copy = store.Copy(volume, path, copy.checksum, copy.size, copy.virtual_size)
    quiesced = bool(item["quiesce"]) or not origin.running
    record = Record(name, origin.name, origin.uuid, source.now(), quiesced, (copy,), catalogue=_entry(item, copy))
    store.keep(place.directory, record)
    return record


def _entry(item: dict[str, Any], copy: store.Copy) -> dict[str, Any]:
    """Return the entry of the catalogue of images."""
    image = item["instance"].get("image") or {}
    entry = {
        "url": f"file://{copy.path}",
        "checksum": copy.checksum,
        "disk_format": "qcow2",
        "min_disk_gb": -(-copy.virtual_size // store.GIB),
        "min_ram_mb": int(image.get("min_ram_mb") or 0),
        "description": f"{copy.volume} of {item['instance']['name']}",
    }
    entry.update({"host": item["host"]} if item.get("host") else {})
    return {**entry, "properties": image["properties"]} if image.get("properties") else entry


def _remove(path: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)


def _outcome(item: dict[str, Any], record: Record | None, changed: bool) -> Outcome:
    told = {"snapshot": item["name"], "of": f"{item['instance']['name']}/{item['volume']}"}
    facts = {"image": record.catalogue, "path": record.copies[0].path, "size": record.size} if record else {}
    facts.update({"created_at": record.created_at, "quiesced": record.quiesced} if record else {})
    return Outcome(item["name"], changed=changed, after=told if changed else {}, facts=facts)
