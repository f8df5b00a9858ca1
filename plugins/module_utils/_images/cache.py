# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a host: each is there once, verified, inspected, read-only, and looked at before every use."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from datetime import datetime, timezone

from .._files import locked, plainly, read_json, regular, sync, write_whole
from .._model.errors import ItemError
from . import checksum
from .fetch import Fetched, digest_of, fetch, forget
from .image import Base, Image
from .inspect import inspect
from .source import read_text

READ_ONLY = 0o444  # a block job that runs away cannot write into the base of all other guests


def directory(state_dir: str) -> str:
    """Return where the images of a host are."""
    return os.path.join(state_dir, "images")


def path(images: str, image: Image) -> str:
    """Return where the image is once it is there."""
    return os.path.join(images, f"{image.id}.{image.format}")


def find(images: str, image: Image) -> Base | None:
    """Return the cached image if it is as it was left; None when it must be fetched or repaired. Costs two stats."""
    recorded, state = _recorded(images, image), regular(path(images, image))
    if recorded is None or state is None:
        return None
    unaltered = (state.st_size, state.st_mtime_ns, state.st_mode & 0o777)
    return recorded if unaltered == (recorded.size, recorded.mtime_ns, READ_ONLY) else None


def ensure(images: str, run_dir: str, image: Image, deadline: float | None) -> Base | str:
    """Return the image, which is in the cache now, or in words how far it is when the deadline came first.

    One caller fetches, under a lock; the others, in this run or another, wait for the same file.
    """
    base = find(images, image)
    if base:
        return base
    with plainly(f"image {image.name} could not be cached"):
        os.makedirs(images, mode=0o755, exist_ok=True)
        with locked(os.path.join(run_dir, f"image-{image.id}.lock"), deadline) as held:
            if not held:
                return f"{image.name}: another run is fetching it"
            return find(images, image) or _repair(images, image) or _obtain(images, image, deadline)


def _recorded(images: str, image: Image) -> Base | None:
    try:
        return Base(**read_json(_record_path(images, image)))
    except TypeError:  # no record, or one of another release
        return None


def _record_path(images: str, image: Image) -> str:
    return os.path.join(images, f"{image.id}.json")


def _repair(images: str, image: Image) -> Base | None:
    """Return the image if only its date or mode were altered and the content is still the recorded one."""
    recorded, here = _recorded(images, image), path(images, image)
    if recorded is None or regular(here) is None:
        return None
    if digest_of(here, recorded.checksum.partition(":")[0]) != recorded.checksum:
        return None
    return _record(images, image, recorded)


def _obtain(images: str, image: Image, deadline: float | None) -> Base | str:
    """Return the image after fetching it, or how far it is; what fails a check is deleted and never used."""
    wanted = _wanted_digest(image)
    part = os.path.join(images, f"{image.id}.part")
    try:
        fetched = fetch(image, part, wanted.partition(":")[0] or "sha256", deadline)
        if not fetched.whole:
            return f"{image.name}: {fetched.progress}"
        _check_digest(image, fetched, wanted)
        virtual_size = inspect(part, image.name, image.format)
    except ItemError as error:
        if error.fault == "request":  # the image is wrong; a download that broke goes on with what it has
            forget(part)
        raise
    os.chmod(part, READ_ONLY)
    sync(part)
    os.rename(part, path(images, image))
    forget(part)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    base = Base(image.url, fetched.digest, image.format, virtual_size, fetched.size, 0, now)
    return _record(images, image, base)


def _wanted_digest(image: Image) -> str:
    """Return "sha256:HEX" as declared, or as the sums file says now; empty when nothing is declared."""
    if not image.checksum or checksum.is_digest(image.checksum):
        return image.checksum
    try:
        return checksum.find(read_text(image.checksum), image.file_name, image.checksum)
    except ItemError as error:
        raise ItemError(f"image {image.name}: {error}", error.fault)


def _check_digest(image: Image, fetched: Fetched, wanted: str) -> None:
    if wanted and fetched.digest != wanted:
        raise ItemError(
            f"image {image.name}: the checksum of {image.url} is {fetched.digest}, but {wanted} was expected: "
            f"the image was changed or damaged; correct the checksum only if you know why",
            fault="request",
        )


def _record(images: str, image: Image, base: Base) -> Base:
    """The image is read-only and its record says how it looks, so that any alteration shows."""
    here = path(images, image)
    os.chmod(here, READ_ONLY)
    state = os.lstat(here)
    recorded = replace(base, size=state.st_size, mtime_ns=state.st_mtime_ns)
    write_whole(_record_path(images, image), json.dumps(asdict(recorded), indent=1).encode() + b"\n")
    return recorded
