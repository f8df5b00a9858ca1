# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What volumes that are files have in common."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .._files import (
    UNFINISHED,
    free_bytes,
    make_directory,
    read_json,
    regular,
    remove_files,
    spoken,
    sync,
    write_whole,
)
from .._model.errors import ItemError
from .._qemu_img import NO_SPACE

if TYPE_CHECKING:
    from .volume import Volume

QEMU_LOCKS = (
    100,
    200,
)  # first byte and number of the bytes that QEMU locks in an image it has open (block/file-posix.c)
FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


def place(disk_format: str, name: str, identity: str, directory: str, pool: dict[str, Any]) -> str:
    """Return where the file of a volume is: with its instance, or, if it outlives that, in a directory for volumes."""
    if not identity:
        return os.path.join(directory, f"{name}.{disk_format}")
    beside = os.path.join(os.path.dirname(os.path.dirname(directory)), "volumes")
    return os.path.join(pool.get("directory") or beside, f"{identity}.{disk_format}")


def belongs(volume: Volume, directory: str) -> bool:
    """Return whether the file is the instance's own, in its directory."""
    return os.path.dirname(volume.path) == directory


def ready_place(volume: Volume) -> None:
    """The directory of volumes is there; one that the user names must be, or it would hide below a missing mount."""
    directory = os.path.dirname(volume.path)
    if not volume.pool.get("directory"):
        make_directory(directory)
    elif not os.path.isdir(directory):
        raise ItemError(f"volume {volume.name}: directory {directory} is not on this host: mount or make it")


def made(volume: Volume, write: Callable[[str], None]) -> None:
    """What `write` puts at an unfinished name is there durably and for root alone, or nothing is."""
    directory, name = os.path.split(volume.path + UNFINISHED)
    unfinished = os.path.join(directory, name)
    if volume.id:
        ready_place(volume)
    remove_files(directory, {name}, keep_directory=True)
    try:
        with _full_disk_said(volume):
            write(unfinished)
            os.chmod(unfinished, 0o600)  # libvirt gives it to the user of QEMU when the guest starts
            sync(unfinished)
    except (ItemError, OSError):
        remove_files(directory, {name}, keep_directory=bool(volume.id))
        raise


def publish(volume: Volume) -> None:
    """The prepared volume has its name."""
    os.rename(volume.path + UNFINISHED, volume.path)
    sync(os.path.dirname(volume.path))


def state(volume: Volume) -> str:
    """Return ready, prepared or missing; anything but a plain file in its place is refused."""
    if os.path.lexists(volume.path):
        if regular(volume.path):
            return "ready"
        raise ItemError(f"{volume.path} is not a plain file: somebody put it there; move it away")
    return "prepared" if regular(volume.path + UNFINISHED) else "missing"


def in_use(volume: Volume) -> bool:
    """Return whether a QEMU has the disk open: it holds locks on some bytes of it."""
    asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *QEMU_LOCKS, 0)
    with open(volume.path, "rb") as stream:
        answer = fcntl.fcntl(stream.fileno(), fcntl.F_OFD_GETLK, asked)
    return struct.unpack(FLOCK, answer)[0] != fcntl.F_UNLCK


def remove(volume: Volume) -> bool:
    """The volume is gone, in whatever state it was."""
    directory, name = os.path.split(volume.path)
    return bool(remove_files(directory, {name, name + UNFINISHED}, keep_directory=bool(volume.id)))


def check_base(volume: Volume) -> None:
    """The image to make the volume from is there and read-only, as stage image leaves it."""
    state_of_base = regular(volume.base)
    if state_of_base is None:
        raise ItemError(f"volume {volume.name}: base {volume.base} is missing: stage image fetches it again")
    if stat.S_IMODE(state_of_base.st_mode) & 0o222:
        raise ItemError(f"volume {volume.name}: base {volume.base} is writable: stage image verifies it again")


def check_space(volume: Volume) -> None:
    """There is room for every byte that the volume promises to its guest."""
    directory = os.path.dirname(volume.path)
    free = free_bytes(directory)
    if volume.size > free:
        raise ItemError(
            f"volume {volume.name}: no space left in {directory}: need {spoken(volume.size)}, have {spoken(free)}"
        )


def with_options(options: str, path: str) -> str:
    """Return how qemu-img opens a file with options; a comma would begin another of them."""
    return f"{options},file.driver=file,file.filename={path.replace(',', ',,')}"


def remembered(volume: Volume) -> Volume | None:
    """Return a volume with a life of its own as its host, or all who share its directory, remember it."""
    entry = read_json(_record(volume))
    try:
        return type(volume)(**entry) if entry else None
    except TypeError:
        raise ItemError(f"{_record(volume)} was altered: restore it")


def remember(volume: Volume) -> None:
    """What is known of the volume lies beside it."""
    write_whole(_record(volume), json.dumps(asdict(volume), indent=1).encode() + b"\n")


def forget(volume: Volume) -> None:
    """Nothing is known of the volume any more."""
    with suppress(FileNotFoundError):
        os.unlink(_record(volume))


def _record(volume: Volume) -> str:
    return os.path.join(os.path.dirname(volume.path), f"{volume.id}.json")


@contextmanager
def _full_disk_said(volume: Volume) -> Iterator[None]:
    try:
        yield
    except ItemError as error:
        if NO_SPACE not in str(error):
            raise
        directory = os.path.dirname(volume.path)
        raise ItemError(f"volume {volume.name}: no space left in {directory}: have {spoken(free_bytes(directory))}")
