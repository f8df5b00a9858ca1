# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stage volume does for one instance: its volumes are there, as recorded; or gone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._bulk import Outcome
from .._files import (
    UNFINISHED,
    instance_directory,
    instance_lock,
    locked,
    make_directory,
    plainly,
    regular,
    remove_files,
    spoken,
)
from .._model.errors import ItemError
from .._model.volume import SERVED, unused
from .._model.volume_keys import passphrase
from .backends import BACKENDS
from .volume import RECORD, RESTORED, Volume, image_of, record, recorded, sized, wanted

Keys = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """What is to be done about one volume: keep, create, publish, grow, or grow at the next boot ("next boot")."""

    action: str
    volume: Volume
    found: Volume | None = None


def plan(instance: dict[str, Any], state_dir: str) -> list[Step]:
    """Return what is to be done; ItemError when it would destroy data. Reads the record, never the disks."""
    found = recorded(instance_directory(state_dir, instance.get("uuid", "")))
    return [
        _step(
            volume,
            BACKENDS[volume.backend].remembered(volume) if volume.id else found.get(volume.name),
            image_of(instance, entry),
            entry,
        )
        for volume, entry in zip(wanted(instance, state_dir), instance.get("volumes") or [])
    ]


def planned(instance: dict[str, Any], state_dir: str) -> Outcome:
    """Return what a run would do."""
    with plainly("the volumes could not be read"):
        return _outcome(instance, plan(instance, state_dir))


def provide(instance: dict[str, Any], state_dir: str, run_dir: str, keys: Keys | None = None) -> Outcome:
    """The volumes of the instance are there; `keys` has the passphrases of encrypted ones by name."""
    directory = instance_directory(state_dir, instance.get("uuid", ""))
    with plainly("the volumes could not be made"), locked(instance_lock(run_dir, instance["uuid"])):
        steps = plan(instance, state_dir)
        for step in steps:
            _apply(step, directory, keys or {})
        return _outcome(instance, steps)


def leftovers(instance: dict[str, Any], state_dir: str) -> list[Volume]:
    """Return the volumes to remove: recorded ones and those of the record, if inside the instance's own directory."""
    directory = instance_directory(state_dir, instance.get("uuid", ""))
    found: list[Volume] = []
    with suppress(ItemError):  # what could never be made is not there
        bare = [{**one, "image": None} for one in instance.get("volumes") or []]
        found += wanted({**instance, "image": None, "volumes": bare}, state_dir)
    doomed = {
        one.get("id") for one in instance.get("volumes") or [] if one.get("id") and one.get("delete_on_termination")
    } | unused(instance)
    with suppress(ItemError):  # an altered record must not keep anybody from deleting
        found += recorded(directory).values()
    found = [one for one in found if one.backend not in SERVED]  # those stay on their server
    ours = [one for one in found if one.id in doomed or (not one.id and BACKENDS[one.backend].belongs(one, directory))]
    return list({volume.path: volume for volume in ours}.values())


def unfinished(directory: str) -> set[str]:
    """Return what killed runs left half made; in an instance's own directory all of that name is ours."""
    try:
        return {name for name in os.listdir(directory) if name.endswith(UNFINISHED)}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def left_by_kill(directory: str) -> bool:
    """Return whether nothing is there but what a run left that was killed before it had made a volume."""
    return os.path.isdir(directory) and set(os.listdir(directory)) == unfinished(directory)


def planned_removal(instance: dict[str, Any], state_dir: str) -> Outcome:
    """Return what a run would remove."""
    with plainly("the volumes could not be read"):
        there = [
            volume for volume in leftovers(instance, state_dir) if BACKENDS[volume.backend].state(volume) != "missing"
        ]
        return _removal(instance, there, state_dir)


def withdraw(instance: dict[str, Any], state_dir: str, run_dir: str) -> Outcome:
    """No volume of the instance is left."""
    directory = instance_directory(state_dir, instance.get("uuid", ""))
    lock = instance_lock(run_dir, instance["uuid"])
    with plainly("the volumes could not be removed"), locked(lock):
        gone = [volume for volume in leftovers(instance, state_dir) if _removed(volume)]
        outcome = _removal(instance, gone, state_dir)
        remove_files(directory, {RECORD, RESTORED, *unfinished(directory)})
        os.unlink(lock)
        return outcome


def _removed(volume: Volume) -> bool:
    there = BACKENDS[volume.backend].remove(volume)
    if volume.id:
        BACKENDS[volume.backend].forget(volume)
    return there


def _step(volume: Volume, found: Volume | None, image: dict[str, Any], entry: dict[str, Any]) -> Step:
    backend = BACKENDS[volume.backend]
    if found is None:
        if entry.get("source_image") and not volume.image:
            raise ItemError(
                f"volume {volume.name} has an image and is not there yet: boot an instance from it first",
                fault="request",
            )
        if backend.state(volume) == "ready":
            raise ItemError(f"{volume.path} is there, but no run recorded it: move it away, or delete the instance")
        return Step("create", sized(volume, image))
    _refuse_loss(replace(volume, image=volume.image or entry.get("source_image") or ""), found)
    state = backend.state(found)
    if state == "missing":
        raise ItemError(
            f"volume {found.name} is gone from {found.path}: restore it, or delete the instance and boot it again",
            fault="request",
        )
    if state == "prepared":
        return Step("publish", found, found)
    if volume.size <= found.size:
        return Step("keep", found, found)
    waits = not backend.GROWS_OPEN and backend.in_use(found)
    return Step("next boot" if waits else "grow", replace(found, size=volume.size), found)


def _refuse_loss(volume: Volume, found: Volume) -> None:
    """What an existing volume cannot become without losing what the guest wrote is refused."""
    for word in ("backend", "image", "encryption"):
        old, new = getattr(found, word), getattr(volume, word)
        if old != new:
            raise ItemError(
                f"volume {found.name} was made with {word} {old or 'none'}: {new or 'none'} would destroy its data; "
                f"keep {old or 'none'}, or delete the instance first",
                fault="request",
            )
    if 0 < volume.size < found.size:
        raise ItemError(
            f"volume {found.name} has {spoken(found.size)}: {spoken(volume.size)} would destroy data; "
            f"keep the size, or delete the instance first",
            fault="request",
        )


def _apply(step: Step, directory: str, keys: Keys) -> None:
    backend = BACKENDS[step.volume.backend]
    key = passphrase(asdict(step.volume), keys) if step.action in ("create", "grow") else ""
    if step.action == "create":
        if not step.volume.id:
            make_directory(directory)
        try:
            backend.prepare(step.volume, key)
        except (ItemError, OSError):
            remove_files(directory, set())  # nothing but the directory itself, and only if nothing was made
            raise
        _remember(directory, step.volume)  # before it has its name: a disk with a name is always a recorded one
    if step.action in ("create", "publish"):
        backend.publish(step.volume)
    if step.action == "grow":
        if step.volume.guest_format == "swap":  # nothing in it is worth keeping, and its header tells its size
            backend.prepare(step.volume, key)
            backend.publish(step.volume)
        else:
            backend.grow(step.volume, step.volume.size, key)
        _remember(directory, step.volume)


def _remember(directory: str, volume: Volume) -> None:
    if volume.id:
        BACKENDS[volume.backend].remember(volume)
    else:
        record(directory, {**recorded(directory), volume.name: volume})


def _outcome(instance: dict[str, Any], steps: list[Step]) -> Outcome:
    done = [step for step in steps if step.action not in ("keep", "next boot")]
    entries = [{key: one[key] for key in one if key != "made"} for one in instance.get("volumes") or []]
    facts = [{**entry, **_facts(step)} for entry, step in zip(entries, steps)]
    return Outcome(
        name=instance["name"],
        changed=bool(done),
        before={step.volume.name: _shown(step.found) for step in done if step.found and step.action == "grow"},
        after={step.volume.name: _shown(step.volume) for step in done},
        facts={"volumes": facts} if steps else {},
    )


def _facts(step: Step) -> dict[str, Any]:
    now = step.found if step.found and step.action == "next boot" else step.volume
    later = f"grows from {spoken(now.size)} to {spoken(step.volume.size)}" if step.action == "next boot" else ""
    known = {"path": now.path, "format": now.format, "base": now.base, "size": now.size, "next_boot": later}
    return {**known, "made": True} if now.id and step.action == "create" else known


def _shown(volume: Volume) -> dict[str, Any]:
    return {"path": volume.path, "format": volume.format, "base": volume.base, "size": volume.size}


def _removal(instance: dict[str, Any], volumes: list[Volume], state_dir: str) -> Outcome:
    directory = instance_directory(state_dir, instance["uuid"])
    there = bool(volumes) or regular(os.path.join(directory, RECORD)) is not None or left_by_kill(directory)
    return Outcome(instance["name"], changed=there, before={volume.name: _shown(volume) for volume in volumes})
