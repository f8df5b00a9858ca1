# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images a host needs no file of: a volume is there already, or is a clone in a cluster that has the image.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._images.checksum import is_digest
from ._images.image import Base, Image
from ._images.stage import wanted
from ._model.errors import ItemError
from ._volumes import rbd
from ._volumes.backends import BACKENDS
from ._volumes.volume import wanted as wanted_volumes


def without_made(item: dict[str, Any], state_dir: str) -> dict[str, Any]:
    """Return an instance whose volumes that are there need no image any more: it may be gone by now."""
    if not any(one.get("image") for one in item.get("volumes") or ()):
        return item
    return {**item, "volumes": [_without_made(item, one, state_dir) for one in item["volumes"]]}


def _without_made(item: dict[str, Any], entry: dict[str, Any], state_dir: str) -> dict[str, Any]:
    bare = {key: value for key, value in entry.items() if key != "image"}
    if not entry.get("image") or not entry.get("id"):
        return entry
    try:
        (volume,) = wanted_volumes({**item, "image": None, "volumes": [bare]}, state_dir)
        return bare if BACKENDS[volume.backend].remembered(volume) else entry
    except ItemError:
        return entry  # stage volume tells what is wrong


def in_clusters(items: list[dict[str, Any]]) -> dict[str, Base]:
    """Return the images, by id, of which every pool has the parent in which the items want a disk made from it.

    A pool knows an image by its content, so only one whose digest the catalogue says can be found there.
    """
    pools: dict[str, list[dict[str, Any] | None]] = {}
    known: dict[str, Image] = {}
    for item in items:
        for image, places in _made(item):
            if isinstance(image, Image) and is_digest(image.checksum):
                known[image.id] = image
                pools.setdefault(image.id, []).extend(places)
    found = {}
    for identity, places in pools.items():
        size = _size(identity, places)
        if size is not None:
            image = known[identity]
            found[identity] = Base(image.name, "", image.checksum, image.format, size, 0, 0, "", "")
    return found


def _made(item: dict[str, Any]) -> Iterator[tuple[Any, list[dict[str, Any] | None]]]:
    """Yield the images of an item, each with the pools of the disks that are made from it.

    None stands for one that needs the image's file.
    """
    clones = (one.get("backend") == "rbd" and not one.get("encryption") for one in item.get("volumes") or ())
    pools = [(one, one.get("pool") if clone else None) for one, clone in zip(item.get("volumes") or (), clones)]
    own = [pool for one, pool in pools if not one.get("image") and (one.get("boot_index") == 0)]
    yield wanted(item.get("image")), own or [None]
    for one, pool in pools:
        if one.get("image"):
            yield wanted(one["image"]), [pool]


def _size(identity: str, places: list[dict[str, Any] | None]) -> int | None:
    """Return the size of the image in the pools, None if one of them lacks it; a cluster in trouble tells so later."""
    sizes: list[int | None] = []
    for pool in {str(one): one for one in places}.values():
        if not pool or not pool.get("pool"):
            return None
        try:
            sizes.append(rbd.size_of(pool, rbd.parent_of(pool, identity)))
        except ItemError:
            return None
    return None if None in sizes else sizes[0]
