# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a place that has it to a file of the cache: fetched, verified, unpacked, inspected, and only then named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial

from .._files import locked, regular, sync
from .._model.errors import ItemError
from . import checksum, records, room
from .fetch import Fetched, SourceFault, digest_of, fetch, forget, started
from .image import Base, Image
from .inspect import inspect
from .room import Room
from .source import Origin, read_text
from .unpack import packed_as, unpack

PLAIN = ".plain"  # what is being unpacked


def obtain(
    images: str, run_dir: str, image: Image, limits: Room, peers: Sequence[Origin], deadline: float | None
) -> Base | str:
    """Return the image after fetching it, or how far it is; what fails a check is deleted and never used."""
    part = os.path.join(images, f"{image.id}.part")
    make_room = partial(room.make, images, run_dir, limits, image.name)
    origin, fetched = _first_that_has_it(image, part, peers, deadline, make_room)
    if not fetched.whole:
        return f"{image.name}: {fetched.progress}"
    try:
        ready, base = _checked(image, origin, part, fetched, limits, make_room)
        recorded = _put(images, run_dir, image, ready, base)
    except ItemError:
        forget(part)
        raise
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part + PLAIN)
    forget(part)
    return recorded


def _first_that_has_it(
    image: Image, part: str, peers: Sequence[Origin], deadline: float | None, make_room: partial[None]
) -> tuple[Origin, Fetched]:
    """Return the first place that gave the image, or a part of it in time; if none did, each one's reason is told.

    A download that has begun goes on where it began.
    """
    begun, reasons, origins = started(part), [], [*peers, *(Origin(url, url) for url in image.urls)]
    wanted = ""
    for origin in sorted(origins, key=lambda one: one.url != begun):
        try:
            if not origin.ready:
                wanted = wanted or _wanted_digest(image)
                origin = Origin(origin.url, origin.label, wanted)
            fetched = fetch(image.name, origin, part, origin.digest.partition(":")[0] or "sha256", deadline, make_room)
            if fetched.whole:
                _check_digest(image, origin, fetched)
            return origin, fetched
        except SourceFault as error:
            if error.fault == "request":  # what is there is wrong; a download that broke goes on with what it has
                forget(part)
            reasons.append(error)
    if len(reasons) == 1:
        raise reasons[0]
    request = all(reason.fault == "request" for reason in reasons)
    told = "; ".join(str(reason).replace(f"image {image.name}: ", "") for reason in reasons)
    raise ItemError(f"image {image.name}: no mirror has it: {told}", "request" if request else "host")


def _wanted_digest(image: Image) -> str:
    """Return "sha256:HEX" as declared, or as the sums file says now; empty when nothing is declared."""
    if not image.checksum or checksum.is_digest(image.checksum):
        return image.checksum
    try:
        return checksum.find(read_text(image.checksum), image.file_names, image.checksum)
    except ItemError as error:
        raise ItemError(f"image {image.name}: {error}", error.fault)


def _check_digest(image: Image, origin: Origin, fetched: Fetched) -> None:
    if origin.digest and fetched.digest != origin.digest:
        raise SourceFault(
            f"image {image.name}: the checksum of {origin.label} is {fetched.digest}, but {origin.digest} was "
            f"expected: the image was changed or damaged; correct the checksum only if you know why",
            fault="request",
        )


def _checked(
    image: Image, origin: Origin, part: str, fetched: Fetched, limits: Room, make_room: partial[None]
) -> tuple[str, Base]:
    """Return where the image is, unpacked if it was packed, and what is to be recorded of it."""
    ready, digest, packed = part, fetched.digest, ""
    if not origin.ready and packed_as(part):
        ready, packed = part + PLAIN, digest
        digest = unpack(image.name, part, ready, limits.largest or 2**63, make_room)
    virtual_size = inspect(ready, image.name, image.format)
    room.check_size(limits, image.name, virtual_size)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return ready, Base(image.name, origin.label, digest, image.format, virtual_size, 0, 0, now, now, packed)


def _put(images: str, run_dir: str, image: Image, ready: str, base: Base) -> Base:
    """The verified file has its name, durably. One with the same content stays: guests may have it open."""
    os.chmod(ready, records.READ_ONLY)
    sync(ready)
    here = os.path.join(images, base.file)
    with locked(records.lock(run_dir, base.file)):
        if not (regular(here) and same(here, base)):
            os.rename(ready, here)
            sync(images)
        return records.save(images, image.id, base)


def same(path: str, base: Base) -> bool:
    """Tell whether the file has the recorded content. Reads all of it."""
    return digest_of(path, base.checksum.partition(":")[0]) == base.checksum
