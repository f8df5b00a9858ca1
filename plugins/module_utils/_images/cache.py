# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a host: each is there once, verified, inspected, read-only, and looked at before every use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from .._files import locked, plainly, regular
from .._model.errors import ItemError
from . import records
from .chain import in_words
from .image import Base, Image
from .obtain import obtain, same
from .room import Room, Users
from .source import Origin

NO_LIMITS = Room()


def directory(state_dir: str) -> str:
    """Return where the images of a host are."""
    return os.path.join(state_dir, "images")


def path(images: str, base: Base) -> str:
    """Return where the image is."""
    return os.path.join(images, base.file)


def planned(images: str, image: Image) -> str:
    """Return a name for the file of an image that a plan would fetch, so that the stages after it can plan theirs.

    The name that it will get is made from its content, which nobody has seen.
    """
    return os.path.join(images, image.id)


def find(images: str, image: Image) -> Base | None:
    """Return the cached image if it is as it was left; None when it must be fetched or repaired. Costs two stats."""
    recorded = records.load(images, image.id)
    return recorded if recorded and records.unaltered(images, recorded) else None


def ensure(
    images: str,
    run_dir: str,
    image: Image,
    deadline: float | None,
    limits: Room = NO_LIMITS,
    peers: Sequence[Origin] = (),
) -> Base | str:
    """Return the image, which is in the cache now, or in words how far it is when the deadline came first.

    One caller fetches, under a lock; the others, in this run or another, wait for the same file. `peers` are other
    hosts that have it; they are asked before the image's own addresses.
    """
    base = find(images, image)
    if base:
        records.touch(images, image.id)
        return base
    with plainly(f"image {image.name} could not be cached"):
        os.makedirs(images, mode=0o755, exist_ok=True)
        with locked(records.lock(run_dir, image.id), deadline) as held:
            if not held:
                return f"{image.name}: another run is fetching it"
            return (
                find(images, image) or _repair(images, image) or obtain(images, run_dir, image, limits, peers, deadline)
            )


def _repair(images: str, image: Image) -> Base | None:
    """Return the image if only its date or mode were altered and the content is still the recorded one."""
    recorded = records.load(images, image.id)
    if recorded is None or regular(path(images, recorded)) is None or not same(path(images, recorded), recorded):
        return None
    return records.save(images, image.id, recorded)


def verify(images: str, name: str, identity: str, change: bool = True) -> Base | None:
    """Return the cached image after reading all of it; None when it is not cached.

    ItemError when it is not what was recorded: it is not used any more then, and the next run fetches it again.
    """
    recorded = records.load(images, identity)
    if recorded is None:
        return None
    here = path(images, recorded)
    with plainly(f"image {name} could not be read"):
        if regular(here) and same(here, recorded):
            now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
            used = os.stat(records.path(images, identity))
            verified = replace(recorded, verified_at=now)
            if change:
                verified = records.save(images, identity, verified)
                os.utime(records.path(images, identity), ns=(used.st_atime_ns, used.st_mtime_ns))
            return verified
        if change:
            records.forget(images, recorded.file)
    raise ItemError(
        f"image {name}: {here} is not what was cached, somebody altered or removed it: "
        f"it is not used any more and the next boot or images.yml fetches it again"
    )


def remove(images: str, run_dir: str, name: str, identity: str, users: Users, change: bool = True) -> bool:
    """The image is not in the cache; returns whether it was. ItemError when a guest needs it."""
    recorded = records.load(images, identity)
    if recorded is None:
        return False
    with plainly(f"image {name} could not be removed"), locked(records.lock(run_dir, recorded.file)):
        needed = users()
        if recorded.file in needed:
            users_in_words = in_words(needed, recorded.file)
            raise ItemError(f"image {name}: made from it on this host and to be deleted first: {users_in_words}")
        if change:
            records.drop(images, recorded.file)
    return True
