# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume that nobody has open, from one backend to another: copied, compared, and only then taken away where it was.

Whatever ends a run in the middle, one whole copy is where the run before or the next one looks for it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from typing import Any

from .._bulk import Outcome
from .._files import UNFINISHED, instance_lock, locked, plainly, spoken
from .._model.errors import ItemError
from .._model.volume import SERVED
from .._model.volume_keys import passphrase
from .._qemu_img import run
from .alone import owned
from .backends import BACKENDS
from .stage import Keys
from .volume import Volume, wanted

COPY_SECONDS = 24 * 3600  # of CPU


def planned(item: dict[str, Any], state_dir: str) -> Outcome:
    """Return what a run would do."""
    with plainly(f"volume {item.get('name')} could not be read"):
        old, new = _both(item, state_dir)
        return _outcome(item, old, new)


def retype(item: dict[str, Any], state_dir: str, run_dir: str, keys: Keys | None = None) -> Outcome:
    """The volume is where its type says, with all that is in it, and no more where its `origin` says."""
    with plainly(f"volume {item.get('name')} could not be moved"), locked(instance_lock(run_dir, item["id"])):
        old, new = _both(item, state_dir)
        if old is not None:
            _move(old, new, keys or {})
        return _outcome(item, old, new)


def _both(item: dict[str, Any], state_dir: str) -> tuple[Volume | None, Volume]:
    """Return the volume where it is, None if it has left there, and where it is to be; refuses what is open."""
    (new,) = wanted(owned(item), state_dir)
    kept = {key: value for key, value in item.items() if key not in ("backend", "pool", "encryption", "key")}
    (place,) = wanted(owned({**kept, **(item.get("origin") or {})}), state_dir)
    if (place.backend, place.path) == (new.backend, new.path):
        if (place.encryption, place.pool) != (new.encryption, new.pool):
            raise ItemError(f"volume {new.name} cannot change where it is: give the new type another directory or pool")
        return None, new
    old, there = _found(place), _found(new)
    if old is None or (there is not None and old.backend in SERVED):
        if there is None:
            raise ItemError(f"volume {new.name} is neither at {place.path} nor at {new.path}", fault="request")
        return None, there
    if BACKENDS[old.backend].in_use(old):
        raise ItemError(f"volume {new.name} is in use by a guest: detach it first", fault="request")
    return old, replace(new, size=old.size, image=old.image)


def _found(volume: Volume) -> Volume | None:
    """Return a volume that is in its place; files of two backends in one directory have one record."""
    found = BACKENDS[volume.backend].remembered(volume)
    there = found is not None and found.path == volume.path
    return found if there and BACKENDS[volume.backend].state(found) == "ready" else None


def _move(old: Volume, new: Volume, keys: Keys) -> None:
    backend, key = BACKENDS[new.backend], _key(old, new, keys)
    if backend.state(new) != "ready":
        # An encrypted disk on a device is a little larger than was asked for, and its guest may have used all of it.
        whole = max(new.size, _length(old, key))
        backend.prepare(replace(new, size=whole), passphrase(asdict(new), keys))
        _copy(old, new, new.path + ("" if new.backend in SERVED else UNFINISHED), key)
        backend.publish(new)
    elif not _equal(old, new, new.path, key):
        if new.backend not in SERVED or not _blank(new, key):
            raise ItemError(f"{new.path} is something else than volume {new.name}: look at both, remove one")
        _copy(old, new, new.path, key)
    backend.remember(new)
    BACKENDS[old.backend].remove(old)
    if not (backend.FILES and os.path.dirname(old.path) == os.path.dirname(new.path)):
        BACKENDS[old.backend].forget(old)


def _key(old: Volume, new: Volume, keys: Keys) -> str:
    """Return what opens the one of the two that is locked; both only by the same."""
    found = {key for key in (passphrase(asdict(one), keys) for one in (old, new)) if key}
    if len(found) > 1:
        raise ItemError(f"volume {new.name} has two passphrases: move it by way of a type that has none", "request")
    return found.pop() if found else ""


def _copy(old: Volume, new: Volume, target: str, key: str) -> None:
    """All that is in the volume is in its copy, which was read again."""
    arguments = ["convert", "-q", "-n", "--image-opts", "--target-image-opts", _opened(old, old.path)]
    run([*arguments, _opened(new, target)], f"copy volume {new.name} to {target}", COPY_SECONDS, 0, passphrase=key)
    if not _equal(old, new, target, key):
        raise ItemError(f"the copy of volume {new.name} at {target} differs from it: nothing was changed; run again")


def _length(volume: Volume, key: str) -> int:
    """Return how many bytes a guest sees."""
    arguments = ["info", "--output=json", "--image-opts", _opened(volume, volume.path)]
    told = run(arguments, f"look at volume {volume.name}", COPY_SECONDS, 0, passphrase=key)
    return int(json.loads(told or "{}")["virtual-size"])


def _equal(old: Volume, new: Volume, target: str, key: str) -> bool:
    """Tell whether both hold the same; what the larger one has more must be zero."""
    arguments = ["compare", "-q", "--image-opts", _opened(old, old.path), _opened(new, target)]
    what = f"compare volume {new.name} with {target}"
    return run(arguments, what, COPY_SECONDS, 0, passphrase=key, harmless=(1,)) is not None


def _blank(new: Volume, key: str) -> bool:
    """Tell whether there is nothing but zeros on a disk that a server made."""
    arguments = ["compare", "-q", "--image-opts", f"driver=null-co,size={new.size},read-zeroes=on"]
    what = f"look whether {new.path} is empty"
    return run([*arguments, _opened(new, new.path)], what, COPY_SECONDS, 0, passphrase=key, harmless=(1,)) is not None


def _opened(volume: Volume, path: str) -> str:
    return BACKENDS[volume.backend].opened(volume, path)


def _outcome(item: dict[str, Any], old: Volume | None, new: Volume) -> Outcome:
    facts = {"path": new.path, "format": new.format, "size": new.size}
    if old is None:
        return Outcome(item["name"], facts=facts)
    before, after = ({"backend": one.backend, "path": one.path, "size": spoken(one.size)} for one in (old, new))
    return Outcome(item["name"], changed=True, before=before, after=after, facts=facts)
