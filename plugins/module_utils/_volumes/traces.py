# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of instances, and what lies in them, for the audit and the sweep. Private to this collection.

A disk may hold what a guest wrote and nobody else has: it goes only with a folder whose instance is known to be gone,
and never while anybody has it open.
"""

from __future__ import annotations

import fnmatch
import os
import struct
import time
from fcntl import F_OFD_GETLK, F_UNLCK, F_WRLCK, fcntl

from .._files import (
    UNFINISHED,
    instance_directory,
    instance_folders,
    instance_lock,
    locked,
    plainly,
    regular,
    remove_files,
)
from .._model.errors import ItemError
from .._model.trace import Place, Trace
from .file import FLOCK, QEMU_LOCKS

DISKS = ("*.qcow2", "*.raw")
DRIVE = "config.iso"
# What the stages write into the folder of an instance; whatever else is in there is not ours to remove.
OURS = (*DISKS, "*.json", "config.iso", "console.log*", "*.fd", "*" + UNFINISHED)


def ages(paths: list[str]) -> tuple[int | None, int | None]:
    """Return how many seconds ago the youngest and the oldest of the files were written to."""
    found = []
    for path in paths:
        try:
            found.append(os.lstat(path).st_mtime)
        except OSError:
            continue
    now = time.time()
    return (max(0, int(now - max(found))), max(0, int(now - min(found)))) if found else (None, None)


def files_of(directory: str) -> list[str]:
    """Return the names of what is in the folder."""
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def find_folders(place: Place) -> list[Trace]:
    """Return the folder of each instance."""
    found = []
    for uuid in instance_folders(place.state_dir):
        directory = instance_directory(place.state_dir, uuid)
        names = files_of(directory)
        age, old = ages([directory, *(os.path.join(directory, name) for name in names)])
        why = obstacle(directory, names)
        evidence = f"{directory} holds {', '.join(names) or 'nothing'}{f', and {why}' if why else ''}"
        remedy = f"rm -r {directory}"
        found.append(Trace("folder", uuid, evidence, remedy, owner=uuid, age=age, old=old, removable=not why))
    return found


def obstacle(directory: str, names: list[str]) -> str:
    """Return why the folder must stay: somebody has a disk in it open, or something in it is not ours."""
    for name in names:
        if is_open(os.path.join(directory, name)):
            return f"{name} is open in a process"
    strangers = [name for name in names if not is_ours(os.path.join(directory, name))]
    return f"no stage made {', '.join(strangers)}" if strangers else ""


def remove_folder(place: Place, trace: Trace) -> None:
    """The folder is gone, unless somebody has a disk in it open or something in it is not ours."""
    directory = instance_directory(place.state_dir, trace.name)
    with plainly(f"{directory} could not be removed"), locked(instance_lock(place.run_dir, trace.name)):
        names = files_of(directory)
        why = obstacle(directory, names)
        if why:
            raise ItemError(f"in {directory} {why}: nothing was removed")
        remove_files(directory, set(names))
        os.unlink(instance_lock(place.run_dir, trace.name))


def is_ours(path: str) -> bool:
    """Say whether the file is one that a stage makes."""
    return regular(path) is not None and any(fnmatch.fnmatch(os.path.basename(path), one) for one in OURS)


def is_open(path: str) -> bool:
    """Say whether a QEMU has the file open: it holds locks on some bytes of it."""
    if regular(path) is None:
        return False
    asked = struct.pack(FLOCK, F_WRLCK, os.SEEK_SET, *QEMU_LOCKS, 0)
    with open(path, "rb") as stream:
        return struct.unpack(FLOCK, fcntl(stream.fileno(), F_OFD_GETLK, asked))[0] != F_UNLCK


def find_unfinished(place: Place) -> list[Trace]:
    """Return what a killed run left half made beside the files of an instance that is there."""
    return [
        Trace("unfinished", f"{uuid}/{name}", f"{path} was never finished", f"rm {path}", within=uuid, age=age, old=old)
        for uuid, name, path in _beside(place)
        if name.endswith(UNFINISHED)
        for age, old in [ages([path])]
    ]


def remove_unfinished(place: Place, trace: Trace) -> None:
    """The file is gone; one that is being written to is under the lock that is waited for here."""
    uuid, dummy, name = trace.name.partition("/")
    directory = instance_directory(place.state_dir, uuid)
    with plainly(f"{directory}/{name} could not be removed"), locked(instance_lock(place.run_dir, uuid)):
        remove_files(directory, {name} if name.endswith(UNFINISHED) else set(), keep_directory=True)


def find_disks(place: Place) -> list[Trace]:
    """Return the disks and config drives in the folder of an instance that neither its domain nor its host knows."""
    found = []
    for uuid, name, path in _beside(place):
        what = "drive" if name == DRIVE else "disk"
        if (name != DRIVE and not any(fnmatch.fnmatch(name, one) for one in DISKS)) or _known(place, uuid, name):
            continue
        age, old = ages([path])
        evidence = f"{path} is in no domain and no record of its host"
        remedy = f"look at it, then mv {path} elsewhere or rm it"
        found.append(Trace("disk", f"{uuid}/{name}", f"{what} {evidence}", remedy, "", uuid, age, old, removable=False))
    return found


def _beside(place: Place) -> list[tuple[str, str, str]]:
    """Return uuid, name and path of all that is in the folder of an instance whose domain is there."""
    return [
        (uuid, name, os.path.join(instance_directory(place.state_dir, uuid), name))
        for uuid in instance_folders(place.state_dir)
        if uuid in place.domains
        for name in files_of(instance_directory(place.state_dir, uuid))
    ]


def _known(place: Place, uuid: str, name: str) -> bool:
    """Say whether the domain or a record in the folder names the file."""
    directory = instance_directory(place.state_dir, uuid)
    if place.names(uuid, os.path.join(directory, name)):
        return True
    for record in files_of(directory):
        if record.endswith(".json"):
            with (
                plainly(f"{directory}/{record} could not be read"),
                open(os.path.join(directory, record), "rb") as file,
            ):
                if name.encode() in file.read():
                    return True
    return False
