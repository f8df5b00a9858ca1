# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that was killed left in the image cache, for the audit and the sweep. Private to this collection.

A finished image is never a trace: the next guest needs it. A half-made one is of use to the run that goes on with it.
"""

from __future__ import annotations

import os
import time

from .._files import locked, plainly, regular
from .._model.errors import ItemError
from .._model.trace import Place, Trace
from .cache import directory

# The ends of the names of what is not an image yet, beside all that belongs to a part.
HALF_MADE = (".converted", ".new")


def is_half_made(name: str) -> bool:
    """Say whether a file of the cache is of an image that is not whole yet."""
    return ".part" in name or name.endswith(HALF_MADE)


def find_images(place: Place) -> list[Trace]:
    """Return the half-made files of the cache that no run is at work on, each image once."""
    folder = directory(place.state_dir)
    groups: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if is_half_made(name) and regular(os.path.join(folder, name)):
            groups.setdefault(image_of(name), []).append(name)
    return [_trace(folder, image, names) for image, names in groups.items() if not busy(place, image)]


def _trace(folder: str, image: str, names: list[str]) -> Trace:
    """Return the trace of one image."""
    states = [state for name in names if (state := regular(os.path.join(folder, name)))]
    times = [state.st_mtime for state in states] or [time.time()]
    size = sum(state.st_size for state in states)
    evidence = f"{', '.join(names)} of {folder}: {size} bytes of an image that nobody is fetching now"
    remedy = "boot.yml with that image goes on with it, or rm " + " ".join(os.path.join(folder, one) for one in names)
    age, old = int(max(0, time.time() - max(times))), int(max(0, time.time() - min(times)))
    return Trace("image", image, evidence, remedy, age=age, old=old)


def image_of(name: str) -> str:
    """Return which image a file of the cache is of."""
    return name.partition(".")[0]


def lock_of(place: Place, image: str) -> str:
    """Return the lock of whoever makes the image."""
    return os.path.join(place.run_dir, f"image-{image}.lock")


def busy(place: Place, image: str) -> bool:
    """Say whether a run is at work on the image."""
    if not os.path.exists(lock_of(place, image)):
        return False
    with plainly(f"the lock of image {image} could not be tried"), locked(lock_of(place, image), 0.0) as held:
        return not held


def remove_image(place: Place, trace: Trace) -> None:
    """The half-made files of the image are gone; one that a run has begun to work on meanwhile is left alone."""
    folder = directory(place.state_dir)
    with plainly(f"image {trace.name} could not be removed"), locked(lock_of(place, trace.name), 0.0) as held:
        if not held:
            raise ItemError(f"a run is at work on image {trace.name} now: nothing was removed")
        for name in sorted(os.listdir(folder)):
            if is_half_made(name) and image_of(name) == trace.name and regular(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))
