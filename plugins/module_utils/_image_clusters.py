# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images a host needs no file of: the disks that are made from them are clones in a cluster that has them.

Private to this collection.
"""

from __future__ import annotations

from typing import Any

from ._images.checksum import is_digest
from ._images.image import Base, Image
from ._model.errors import ItemError
from ._volumes import rbd


def in_clusters(items: list[dict[str, Any]], asked: list[Any]) -> dict[str, Base]:
    """Return the images, by id, of which every pool has the parent in which the items want a disk made from it.

    A pool knows an image by its content, so only one whose digest the catalogue says can be found there.
    """
    pools: dict[str, list[dict[str, Any] | None]] = {}
    known: dict[str, Image] = {}
    for item, image in zip(items, asked):
        if isinstance(image, Image) and is_digest(image.checksum) and item.get("volumes"):
            known[image.id] = image
            pools.setdefault(image.id, []).extend(_pools(item))
    found = {}
    for identity, places in pools.items():
        size = _size(identity, places)
        if size is not None:
            image = known[identity]
            found[identity] = Base(image.name, "", image.checksum, image.format, size, 0, 0, "", "")
    return found


def _pools(item: dict[str, Any]) -> list[dict[str, Any] | None]:
    """Return the pool of each disk that is made from the image; None for one that needs the image's file."""
    made = [one for one in item["volumes"] if one.get("boot_index") == 0 or one.get("source_image")]
    return [one.get("pool") if one.get("backend") == "rbd" else None for one in made] or [None]


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
