# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One volume, one attachment: who has each volume with a life of its own, and where it is. Private to this collection.

A row stays when its instance is gone, for it says on which host the volume is. One that all hosts see has no host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._bulk import Outcome
from .._model.errors import ItemError
from .._model.volume import EVERYWHERE, unused
from .sql import delete, fetch, insert, sa

if sa is not None:
    from .schema import INSTANCES, VOLUMES

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A volume as the registry has it; `instance` is empty while it is attached to none."""

    id: str
    project: str
    name: str
    host: str
    instance: str | None = None


def alone(record: Record | None) -> list[Record]:
    """Return the volumes of an instance record that outlive it."""
    return [one for one in (record or {}).get("volumes") or () if one.get("id")]


def home(volume: Record, host: str) -> str:
    """Return the host that a volume is bound to, empty for one that all hosts see."""
    everywhere = volume.get("backend") in EVERYWHERE or (volume.get("pool") or {}).get("shared")
    return "" if everywhere else host


def load(connection: Any, ids: Iterable[str] | None = None) -> dict[str, Place]:
    """Return what the registry knows of these volumes, or of all."""
    rows = connection.execute(sa.select(VOLUMES)).all() if ids is None else None
    rows = fetch(connection, sa.select(VOLUMES), VOLUMES.c.id, ids) if rows is None else rows
    return {row.id: Place(row.id, row.project, row.name, row.host, row.instance) for row in rows}


def check(known: Mapping[str, Place], names: Mapping[str, str], record: Record, uuid: str, host: str) -> None:
    """Raise ItemError if another instance has a volume of this one, or if it is on another host."""
    for one in alone(record):
        place = known.get(one["id"])
        if place is None:
            continue
        if place.instance not in (None, uuid):
            other = names.get(place.instance, place.instance)
            told = f"volume {one['name']} is attached to {other}: detach it there first, in a run before this one"
            raise ItemError(told, fault="request")
        if place.host and home(one, host) and place.host != host and one["id"] not in unused(record):
            told = f"volume {one['name']} is on {place.host}, and no other host sees it: say host: {place.host}"
            raise ItemError(told, fault="request")


def owners(connection: Any, known: Mapping[str, Place]) -> dict[str, str]:
    """Return the names of the instances that have these volumes, by uuid."""
    wanted = {one.instance for one in known.values() if one.instance}
    columns = sa.select(INSTANCES.c.uuid, INSTANCES.c.name)
    return dict(row[:] for row in fetch(connection, columns, INSTANCES.c.uuid, wanted))


def write(connection: Any, instances: Iterable[Any], gone: Iterable[Any], unmade: Iterable[str] = ()) -> None:
    """The registry says of these instances which volumes they have, and forgets what went with one or was unmade."""
    places = {
        one["id"]: Place(one["id"], held.project, one["name"], home(one, held.host), held.uuid)
        for held in instances
        for record in (held.record, held.pending)
        for one in alone(record)
    }
    doomed = {
        one["id"]
        for held in gone
        for record in (held.record, held.pending)
        for one in alone(record)
        if one.get("delete_on_termination")
    } | set(unmade)
    if places or doomed:
        delete(connection, VOLUMES, VOLUMES.c.id, {*places, *doomed})
        insert(connection, VOLUMES, [asdict(one) for one in places.values()])


def keep(connection: Any, items: list[Record]) -> list[Outcome]:
    """Each of these volumes has a row; one that has it says where it is and who has it."""
    known = load(connection, [one["id"] for one in items])
    names = owners(connection, known)
    new = [
        Place(one["id"], one.get("project") or "default", one["name"], home(one, one.get("host") or ""))
        for one in items
        if one["id"] not in known
    ]
    insert(connection, VOLUMES, [asdict(one) for one in new])
    return [_told(one, known.get(one["id"]), names) for one in items]


def move(connection: Any, items: list[Record]) -> list[Outcome]:
    """The row of each of these volumes says that it is on its host now, or that all hosts see it."""
    known = load(connection, [one["id"] for one in items])
    names = owners(connection, known)
    moved = {
        one["id"]: replace(known[one["id"]], host=home(one, one.get("host") or ""))
        for one in items
        if one["id"] in known
    }
    changed = {identity: one for identity, one in moved.items() if one != known[identity]}
    delete(connection, VOLUMES, VOLUMES.c.id, set(changed))
    insert(connection, VOLUMES, [asdict(one) for one in changed.values()])
    return [replace(_told(one, moved.get(one["id"]), names), changed=one["id"] in changed) for one in items]


def forget(connection: Any, items: list[Record]) -> list[Outcome]:
    """None of these volumes has a row; one that an instance has is refused by the names of both."""
    known = load(connection, [one["id"] for one in items])
    names = owners(connection, known)
    outcomes = [_told(one, known.get(one["id"]), names, wanted=False) for one in items]
    free = [one["id"] for one, outcome in zip(items, outcomes) if not outcome.error]
    delete(connection, VOLUMES, VOLUMES.c.id, set(free) & set(known))
    return outcomes


def _told(item: Record, place: Place | None, names: Mapping[str, str], wanted: bool = True) -> Outcome:
    attached = names.get(place.instance or "", place.instance or "") if place else ""
    facts = {"attached_to": attached, "home": place.host if place else home(item, item.get("host") or "")}
    if attached and not wanted:
        told = f"volume {item['name']} is attached to {attached}: detach it first"
        return Outcome(item["name"], error=told, fault="request", facts=facts)
    before = {"home": place.host} if place else {}
    after = {"home": facts["home"]} if wanted else {}
    return Outcome(item["name"], bool(place) != wanted, before=before, after=after, facts=facts)
