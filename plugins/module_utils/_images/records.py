# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cache remembers: a record for each image that was asked for, beside the file that it names.

Several records may name one file. When a record was last used is the date of its file.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, replace

from .._files import read_json, regular, write_whole
from .image import Base

READ_ONLY = 0o444  # a block job that runs away cannot write into the base of all other guests
IMAGES = (".qcow2", ".raw")


def path(images: str, identity: str) -> str:
    """Return where the record of an image is."""
    return os.path.join(images, f"{identity}.json")


def lock(run_dir: str, what: str) -> str:
    """Return the name of a lock: that of an image's id is held while it is fetched, that of a file while it changes."""
    return os.path.join(run_dir, f"image-{what}.lock")


def load(images: str, identity: str) -> Base | None:
    """Return what was recorded of the image; None when there is nothing, or nothing of this release."""
    try:
        return Base(**read_json(path(images, identity)))
    except TypeError:
        return None


def save(images: str, identity: str, base: Base) -> Base:
    """The file is read-only and its record says how it looks, so that any alteration shows; returns the record."""
    here = os.path.join(images, base.file)
    os.chmod(here, READ_ONLY)
    state = os.lstat(here)
    recorded = replace(base, size=state.st_size, mtime_ns=state.st_mtime_ns)
    write_whole(path(images, identity), json.dumps(asdict(recorded), indent=1).encode() + b"\n")
    return recorded


def unaltered(images: str, base: Base) -> bool:
    """Tell whether the file still looks as recorded. Costs one stat."""
    state = regular(os.path.join(images, base.file))
    return state is not None and (state.st_size, state.st_mtime_ns, state.st_mode & 0o777) == (
        base.size,
        base.mtime_ns,
        READ_ONLY,
    )


def touch(images: str, identity: str) -> None:
    """The image counts as used now."""
    with suppress(FileNotFoundError):
        os.utime(path(images, identity))


def all_of(images: str) -> dict[str, Base]:
    """Return every record by the id of its image."""
    found = {}
    for name in _names(images):
        base = load(images, name[: -len(".json")]) if name.endswith(".json") else None
        if base:
            found[name[: -len(".json")]] = base
    return found


def sizes(images: str) -> dict[str, int]:
    """Return how many bytes of the disk each image of the cache takes, by file."""
    states = {name: regular(os.path.join(images, name)) for name in _names(images) if name.endswith(IMAGES)}
    return {name: state.st_blocks * 512 for name, state in states.items() if state}


def unfinished(images: str) -> dict[str, str]:
    """Return the files of downloads that are not finished, each with the id of its image."""
    return {name: name.partition(".")[0] for name in _names(images) if ".part" in name}


def last_use(images: str, file: str) -> float:
    """Return when the file was last used, in seconds since 1970; one without a record since it was put there."""
    dates = []
    for identity, base in all_of(images).items():
        if base.file == file:
            with suppress(FileNotFoundError):
                dates.append(os.stat(path(images, identity)).st_mtime)
    with suppress(FileNotFoundError):
        dates.append(os.lstat(os.path.join(images, file)).st_ctime if not dates else 0)
    return max(dates, default=0)


def by_last_use(images: str) -> list[str]:
    """Return the files of the cache, those first that were not used for longest."""
    return sorted(sizes(images), key=lambda file: (last_use(images, file), file))


def drop(images: str, file: str) -> None:
    """The image is gone, and first every record of it: a record without a file would be a lie."""
    forget(images, file)
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(images, file))


def forget(images: str, file: str) -> None:
    """No record names the file any more, so no instance is made from it until a run has verified or fetched it."""
    for identity, base in all_of(images).items():
        if base.file == file:
            with suppress(FileNotFoundError):
                os.unlink(path(images, identity))


def _names(images: str) -> list[str]:
    try:
        return sorted(os.listdir(images))
    except FileNotFoundError:
        return []
