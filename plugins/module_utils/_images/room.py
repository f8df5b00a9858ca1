# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the cache may be: what was not used for longest goes when it must, but nothing that a guest needs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from .._files import free_bytes, locked, spoken
from .._model.errors import ItemError
from . import records
from .fetch import no_space

GRACE = 600  # seconds that an image is kept after its last use: another run may be about to make a volume of it
GIB = 2**30
Users = Callable[[], Mapping[str, list[str]]]  # who needs each file of the cache, by file


@dataclass(frozen=True)
class Room:
    """Limits of the cache, in bytes; 0 is none.

    `limit` is all cached images together, `floor` what stays free in their file system, `largest` the size of one
    image, as its guests see it or unpacked. `users` tells who needs each file; it is asked only when something must go.
    """

    limit: int = 0
    floor: int = 0
    largest: int = 0
    users: Users = dict


def make(images: str, run_dir: str, room: Room, name: str, need: int) -> None:
    """So many bytes more fit into the cache, after old images went if they had to; ItemError when they do not."""
    if _short(images, room, need) <= 0:
        return
    for file, identity in records.unfinished(images).items():
        _drop_broken(images, run_dir, file, identity)
    needed = room.users()
    for file in records.by_last_use(images):
        if file not in needed and _evict(images, run_dir, file) and _short(images, room, need) <= 0:
            return
    if _short(images, room, need) > 0:
        raise no_space(name, images, _numbers(images, room, need))


def _short(images: str, room: Room, need: int) -> int:
    """Return how many bytes are missing, in the cache or in its file system, whatever is worse."""
    need = max(need, 0)  # of unknown length: nothing is promised
    over = sum(records.sizes(images).values()) + need - room.limit if room.limit else 0
    return max(over, need + room.floor - free_bytes(images))


def _evict(images: str, run_dir: str, file: str) -> bool:
    """The image is gone unless somebody uses it just now."""
    if time.time() - records.last_use(images, file) < GRACE:
        return False
    with locked(records.lock(run_dir, file), time.monotonic()) as held:
        if not held or time.time() - records.last_use(images, file) < GRACE:
            return False
        records.drop(images, file)
        return True


def _drop_broken(images: str, run_dir: str, file: str, identity: str) -> None:
    """A download that nobody goes on with is gone."""
    with locked(records.lock(run_dir, identity), time.monotonic()) as held, suppress(FileNotFoundError):
        path = os.path.join(images, file)
        if held and time.time() - os.stat(path).st_mtime >= GRACE:
            os.unlink(path)


def _numbers(images: str, room: Room, need: int) -> str:
    free, cached = free_bytes(images), sum(records.sizes(images).values())
    said = f"{spoken(need)} more are needed, {spoken(free)} are free"
    if room.floor:
        said += f" of which {spoken(room.floor)} stay free (image_free_gb)"
    if room.limit:
        said += f", {spoken(cached)} of {spoken(room.limit)} are cached (image_cache_gb)"
    return said + ", and no cached image may go: guests need them or they were used just now"


def check_size(room: Room, name: str, virtual_size: int) -> None:
    """The image is not larger than any may be (OSSA 2013-012: a disk of exabytes costs its author nothing)."""
    if room.largest and virtual_size > room.largest:
        raise ItemError(
            f"image {name}: it is a disk of {spoken(virtual_size)}, and image_max_gb is {room.largest // GIB}: "
            f"raise that only if you trust it",
            fault="request",
        )
