# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either whole or not there, under locks that two runs share. Private to this collection."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ._model.errors import ItemError

UNFINISHED = ".new"
POLL = 0.2


@contextmanager
def locked(path: str, deadline: float | None = None) -> Iterator[bool]:
    """Hold the lock of that name; yields False, without it, when the deadline (of time.monotonic) came first."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = _take(path, deadline)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _take(path: str, deadline: float | None) -> int | None:
    """Return the descriptor that holds the lock; a lock file that its holder removed meanwhile is made anew."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _flock(descriptor, deadline):
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def _flock(descriptor: int, deadline: float | None) -> bool:
    """Lock the open file; False when the deadline came first."""
    if deadline is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)


@contextmanager
def plainly(what: str) -> Iterator[None]:
    """An OSError inside becomes one sentence: what could not be done, the system's reason and the file."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ItemError(f"{what}: {error.strerror or error}{where}")


def write_whole(path: str, content: bytes, mode: int = 0o644) -> os.stat_result:
    """The file holds the content, durably and with that mode; a reader sees the old file or the new, never a part."""
    unfinished = path + UNFINISHED
    with suppress(FileNotFoundError):
        os.unlink(unfinished)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    os.rename(unfinished, path)
    sync(os.path.dirname(path))
    return os.lstat(path)


def sync(path: str) -> None:
    """What was written to the file, or renamed in the directory, survives a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: str) -> dict[str, Any]:
    """Return the JSON object in the file; empty when there is none or it is broken."""
    try:
        with open(path, "rb") as stream:
            found = json.loads(stream.read())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def regular(path: str) -> os.stat_result | None:
    """Return the state of the plain file at the path; None when there is none, or a link or anything else."""
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return None
    return state if stat.S_ISREG(state.st_mode) else None


def instance_directory(state_dir: str, instance_uuid: str) -> str:
    """Return where the files of an instance are; anything but a plain uuid is refused, since it becomes a path."""
    if not is_uuid(instance_uuid):
        raise ItemError(f"{instance_uuid!r} is not a uuid in lower case with dashes", fault="request")
    return os.path.join(state_dir, "instances", instance_uuid)


def port_files(state_dir: str) -> list[str]:
    """Return the names of the files of saved ports, of which `_network.saved` knows what they mean."""
    try:
        return [name for name in os.listdir(os.path.join(state_dir, "ports")) if name.endswith(".json")]
    except FileNotFoundError:
        return []


def instance_folders(state_dir: str) -> list[str]:
    """Return the uuids of the instances that have a directory."""
    try:
        return sorted(name for name in os.listdir(os.path.join(state_dir, "instances")) if is_uuid(name))
    except FileNotFoundError:
        return []


def instance_lock(run_dir: str, instance_uuid: str) -> str:
    """Return the name of the lock that whoever changes the files of an instance holds."""
    return os.path.join(run_dir, f"instance-{instance_uuid}.lock")


@contextmanager
def instances_locked(run_dir: str, uuids: Iterable[Any]) -> Iterator[None]:
    """Hold the locks of all these instances, taken in one order, so that no two runs wait for each other."""
    with ExitStack() as stack:
        with plainly(f"the instances could not be locked in {run_dir}"):
            for one in sorted({one for one in uuids if is_uuid(one)}):
                stack.enter_context(locked(instance_lock(run_dir, one)))
        yield


def is_uuid(value: Any) -> bool:
    """Say whether the value is a plain uuid, in lower case with dashes, and may become a part of a path."""
    try:
        return str(uuid.UUID(value)) == value
    except (ValueError, AttributeError, TypeError):
        return False


def make_directory(directory: str) -> None:
    """The directory of the instance is there: others may pass through it but not list it."""
    os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(directory, 0o711)
    if not stat.S_ISDIR(os.lstat(directory).st_mode):
        raise ItemError(f"{directory} is not a directory: move it away")


def remove_files(directory: str, names: set[str], keep_directory: bool = False) -> list[str]:
    """The named files are gone from the directory, which is removed too when empty; returns what was there.

    No link is followed: neither the directory nor a file in it may be one that leads elsewhere.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ItemError(f"{directory} is not a directory of ours ({error.strerror}): nothing in it was removed")
    try:
        present = sorted(names.intersection(os.listdir(descriptor)))
        for name in present:
            os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    if not keep_directory:
        with suppress(OSError):
            os.rmdir(directory)
    return present


def free_bytes(directory: str) -> int:
    """Return how much may still be written below the directory, whose nearest existing parent is asked."""
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    state = os.statvfs(directory)
    return state.f_bavail * state.f_frsize


def spoken(size: int) -> str:
    """Return the size as people say it: 300 MiB, 20 GiB."""
    if size >= 2**30 and size % 2**30 == 0:
        return f"{size // 2**30} GiB"
    return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"
