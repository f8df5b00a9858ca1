# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of ours in the pools of Ceph that may belong to nothing, for the audit and the sweep. Private.

All hosts see them, so it is for the audit to say whether an instance has one somewhere. A finished image that disks are
cloned from is a cache and no trace.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .._files import instance_lock, locked, plainly
from .._model.errors import ItemError
from .._model.trace import Place, Trace
from . import ceph, named

Store = Mapping[str, Any]


def find_images(place: Place) -> list[Trace]:
    """Return the images of ours in every pool that is looked into."""
    return [one for store in _stores(place) for one in _in_pool(place, store)]


def find_again(place: Place, name: str) -> Trace | None:
    """Return one image as it is now."""
    for store in _stores(place):
        images = ceph.names(store)
        image = next((one for one in images if _label(store, one) == name), None)
        if image is not None:
            return _trace(store, image, images)
    return None


def remove_image(place: Place, trace: Trace) -> None:
    """The image is gone; one that somebody has open or has a snapshot of stays."""
    lock = instance_lock(place.run_dir, trace.owner or trace.volume or "images")
    with plainly(f"{trace.name} could not be removed"), locked(lock):
        found = ((store, image) for store in _stores(place) for image in ceph.names(store))
        for store, path in [
            (store, f"{store['pool']}/{one}") for store, one in found if _label(store, one) == trace.name
        ]:
            if ceph.is_open(store, path):
                raise ItemError(f"{trace.name} is open somewhere: nothing was removed")
            ceph.discard(store, path)


def _stores(place: Place) -> list[Store]:
    return [one for one in place.stores if one["backend"] == "rbd"]


def _label(store: Store, image: str) -> str:
    """Return what an image is called in the audit: with its cluster where that is not the usual one."""
    conf = store.get("conf") or ceph.CONF
    return f"{store['pool']}/{image}" + ("" if conf == ceph.CONF else f" of {conf}")


def _in_pool(place: Place, store: Store) -> list[Trace]:
    images = ceph.names(store)
    found = []
    for image in images:
        told = named.read(image)
        if told is None or (told.owner or told.volume) in {*place.known, *place.domains}:
            continue
        trace = _trace(store, image, images)
        if trace:
            found.append(trace)
    return found


def _trace(store: Store, image: str, images: list[str]) -> Trace | None:
    """Return what is to be said of an image of ours; nothing of one that went away, or that disks are cloned from."""
    told, path = named.read(image), f"{store['pool']}/{image}"
    if told is None or (told.image and not told.half and ceph.is_parent(store, path)):
        return None
    dates = ceph.dates(store, path)
    if dates is None:
        return None
    now, label = time.time(), _label(store, image)
    made, touched = (max(0, int(now - one)) for one in dates)
    owner, within = told.whose(image, images)
    return Trace(
        "pool_image",
        label,
        f"image {label} {told.what}",
        f"{told.back}{ceph.spoken_removal(store, path)}",
        owner=owner,
        within=within,
        age=touched,
        old=made,
        removable=told.removable,
        volume=told.volume,
    )
