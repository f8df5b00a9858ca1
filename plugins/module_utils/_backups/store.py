# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of disks on a host: files beside a record that is written last, so that what has one is whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import _qemu_img
from .._files import UNFINISHED, is_uuid, read_json, regular, remove_files, write_whole
from .._model.errors import ItemError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
SUFFIXES = (UNFINISHED, ".json", ".qcow2")
GIB = 2**30


@dataclass(frozen=True)
class Copy:
    """One volume in a file: where, its digest, its bytes, how large a disk it is, and whether that is encrypted."""

    volume: str
    path: str
    checksum: str
    size: int
    virtual_size: int
    encrypted: bool = False


@dataclass(frozen=True)
class Record:
    """A snapshot, or a backup: whose it is and what it has. `parent` is the backup that this one goes on from."""

    name: str
    instance: str
    uuid: str
    created_at: str
    quiesced: bool
    copies: tuple[Copy, ...]
    parent: str = ""
    catalogue: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the bytes of its files."""
        return sum(one.size for one in self.copies)


def checked_name(name: Any) -> str:
    """Return the name, which becomes part of a file's."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.endswith(SUFFIXES):
        raise ItemError(
            f"the name is {name!r}: it must be letters, digits, '_', '.' and '-', at most 64, "
            f"and not end in {', '.join(SUFFIXES)}",
            fault="request",
        )
    return name


def read(directory: str, name: str) -> Record | None:
    """Return the record of that name, None if there is none; its files are as they were left, or ItemError."""
    path = os.path.join(directory, f"{name}.json")
    if regular(path) is None:
        return None
    told = read_json(path)
    try:
        record = Record(**{**told, "copies": tuple(Copy(**one) for one in told["copies"])})
    except (TypeError, KeyError):
        raise ItemError(f"{path} was altered: move it away, with what belongs to it")
    for one in record.copies:
        state = regular(one.path)
        if state is None or state.st_size != one.size:
            raise ItemError(f"{one.path} is gone or was altered, so {name} is not whole: delete it and make another")
    return record


def names(directory: str) -> list[str]:
    """Return the names of all that are in the directory."""
    try:
        return sorted(one[:-5] for one in os.listdir(directory) if one.endswith(".json") and NAME.fullmatch(one[:-5]))
    except (FileNotFoundError, NotADirectoryError):
        return []


def unfinished(directory: str) -> list[str]:
    """Return the files in the directory that belong to no record: a run that was killed has left them."""
    try:
        found = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    known = set(names(directory))
    ours = [one for one in found if one.endswith((".qcow2", UNFINISHED))]
    return [one for one in ours if one.endswith(UNFINISHED) or not any(one in files(name, found) for name in known)]


def files(name: str, found: list[str]) -> list[str]:
    """Return those of the files found that belong to the record of that name."""
    return [
        one for one in found if one == f"{name}.qcow2" or re.fullmatch(re.escape(name) + r"@[a-z0-9-]+\.qcow2", one)
    ]


def keep(directory: str, record: Record) -> None:
    """The record is there, and with it all that it speaks of."""
    write_whole(
        os.path.join(directory, f"{record.name}.json"), json.dumps(asdict(record), indent=1).encode() + b"\n", 0o600
    )


def remove(directory: str, name: str) -> None:
    """The record is gone, and then its files."""
    remove_files(directory, {f"{name}.json"}, keep_directory=True)
    try:
        remove_files(directory, set(files(name, os.listdir(directory))))
    except FileNotFoundError:
        return


def sweep(directory: str) -> list[str]:
    """Nothing is left of what killed runs were writing; whoever calls holds the lock of the only writer."""
    return remove_files(directory, set(unfinished(directory)))


def examined(volume: str, path: str, below: str = "") -> Copy:
    """Return what the file holds; ItemError if it lies on any other file than the one it must lie on."""
    told = json.loads(_qemu_img.run(["info", "-f", "qcow2", "--output", "json", path], f"inspect {path}"))
    if told.get("backing-filename", "") != below or (told.get("format-specific") or {}).get("data", {}).get(
        "data-file"
    ):
        raise ItemError(f"{path} lies on {told.get('backing-filename')}, where {below or 'nothing'} was expected")
    return Copy(volume, path, digest(path), os.stat(path).st_size, told["virtual-size"], bool(told.get("encrypted")))


def digest(path: str) -> str:
    """Return the checksum of a file as the catalogue of images writes it."""
    seen = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(2**20), b""):
            seen.update(block)
    return f"sha256:{seen.hexdigest()}"


def instance_store(root: str, uuid: str) -> str:
    """Return where the backups of an instance are."""
    if not is_uuid(uuid):
        raise ItemError(f"{uuid!r} is not a uuid in lower case with dashes", fault="request")
    return os.path.join(root, uuid)
