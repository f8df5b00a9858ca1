# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume of an instance is wanted to be, and what the host recorded about the one it has."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .._files import instance_directory, is_uuid, read_json, spoken, write_whole
from .._model.errors import ItemError
from .backends import BACKENDS

RECORD = "volumes.json"
RESTORED = "restored.json"  # which backup the disks are of, beside them
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # it becomes part of a file's name
MIB, GIB = 2**20, 2**30


@dataclass(frozen=True)
class Volume:
    """A disk of an instance.

    `size` is bytes, and 0 in a wanted one that takes the size of its image; `base` is the cached image it is made
    from, empty for a blank one, `image` the name of that in the catalogue; `guest_format` what a blank one holds.
    One with an `id` outlives the instance; `pool` is where its backend keeps it. `encryption` is luks or empty, `key`
    the name of its passphrase where none has the volume's own.
    """

    name: str
    backend: str
    format: str
    path: str
    size: int
    image: str = ""
    base: str = ""
    base_format: str = ""
    guest_format: str = ""
    id: str = ""
    pool: dict[str, Any] = field(default_factory=dict)
    encryption: str = ""
    key: str = ""


def wanted(instance: dict[str, Any], state_dir: str) -> list[Volume]:
    """Return the volumes that the record asks for; the one with boot_index 0 is made from the instance's image.

    Any other that is made from an image has that with it.
    """
    directory = instance_directory(state_dir, instance.get("uuid", ""))
    return [_wanted(instance, entry, directory) for entry in instance.get("volumes") or []]


def _wanted(instance: dict[str, Any], entry: dict[str, Any], directory: str) -> Volume:
    name, backend = entry.get("name") or "", entry.get("backend") or ""
    if not NAME.fullmatch(name):
        raise ItemError(f"volume name {name!r} must be of a to z, 0 to 9 and -, at most 63 long", fault="request")
    if backend not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise ItemError(f"volume {name}: backend is {backend!r}, but must be one of {known}", fault="request")
    image = image_of(instance, entry)
    if image and not image.get("path"):
        raise ItemError(f"volume {name}: image {image.get('name')} has no path: stage image runs before stage volume")
    disk_format, identity, pool = BACKENDS[backend].FORMAT, entry.get("id") or "", entry.get("pool") or {}
    if identity and not is_uuid(identity):
        raise ItemError(f"volume {name}: its id {identity!r} is not a uuid", fault="request")
    return Volume(
        name=name,
        backend=backend,
        format=disk_format,
        path=BACKENDS[backend].place(name, identity, directory, pool),
        size=(entry.get("size_gb") or 0) * GIB + (entry.get("size_mb") or 0) * MIB,
        image=image.get("name") or "",
        base=image.get("path") or "",
        base_format=image.get("format") or "",
        guest_format=entry.get("guest_format") or "",
        id=identity,
        pool=pool,
        encryption=entry.get("encryption") or "",
        key=entry.get("key") or "",
    )


def image_of(instance: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """Return the image that a volume of the instance is made from, as stage image has completed it; empty for none."""
    boots = entry.get("boot_index") == 0 and (not entry.get("id") or entry.get("source_image"))
    return entry.get("image") or (instance.get("image") if boots else {}) or {}


def sized(volume: Volume, image: dict[str, Any]) -> Volume:
    """Return the volume that is to be made: as large as asked for, or as its image, which must fit.

    In check mode an image that is not cached yet has no size, and neither has the volume.
    """
    needed = (image.get("virtual_size") or 0) if volume.base else 0
    if volume.size and volume.size < needed:
        raise ItemError(
            f"volume {volume.name} is to have {spoken(volume.size)}, but image {volume.image} needs {spoken(needed)}: "
            f"take {'a larger size' if volume.id else 'a flavor with a larger disk_gb'}",
            fault="request",
        )
    if not volume.size and not volume.base:
        raise ItemError(f"volume {volume.name} has neither an image nor a size: give it size_gb", fault="request")
    return replace(volume, size=volume.size or needed)


def recorded(directory: str) -> dict[str, Volume]:
    """Return the volumes that the host made for an instance, by name."""
    entries = read_json(os.path.join(directory, RECORD)).get("volumes") or []
    try:
        return {entry["name"]: Volume(**entry) for entry in entries}
    except (TypeError, KeyError):
        raise ItemError(f"{directory}/{RECORD} was altered: restore it, or delete the instance")


def record(directory: str, volumes: dict[str, Volume]) -> None:
    """The host remembers the volumes, above all their format: a disk that a guest has written is never probed."""
    content = {"volumes": [asdict(volumes[name]) for name in sorted(volumes)]}
    write_whole(os.path.join(directory, RECORD), json.dumps(content, indent=1).encode() + b"\n")
