# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The config drive of one instance on its host: there and as it should be, or gone."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from .._bulk import Outcome
from .._files import (
    UNFINISHED,
    instance_directory,
    instance_lock,
    locked,
    make_directory,
    plainly,
    read_json,
    regular,
    remove_files,
    write_whole,
)
from .._model import config_drive
from .._model.errors import ItemError
from . import iso, seed, vfat
from .documents import KINDS

FILE = "config.iso"
RECORD = "config.json"
LAYOUT = "2"  # raised when documents change, so that drives of an older release are made anew
FORMATS = {"iso9660": iso.build, "vfat": vfat.build}


@dataclass(frozen=True)
class Drive:
    """A config drive that is wanted: its file system and the label of that, its files and the bus it is plugged to."""

    path: str
    format: str
    label: str
    files: dict[str, bytes]
    bus: str
    digest: str


@dataclass(frozen=True)
class Record:
    """How a drive was left. `digest` is keyed with the instance: equal secrets of two guests do not show as equal."""

    digest: str
    size: int
    mtime_ns: int


def wanted(instance: dict[str, Any], secrets: dict[str, Any], state_dir: str, bus: str) -> Drive | None:
    """Return the drive that the record asks for; None when it asks for none."""
    kind = instance.get("config_drive") or "none"
    if kind == "none":
        return None
    if kind not in KINDS:
        raise ItemError(f"config_drive is {kind!r}, but must be one of none, {', '.join(KINDS)}", fault="request")
    system = instance.get("config_drive_format") or "iso9660"
    if system not in FORMATS:
        raise ItemError(f"config_drive_format is {system!r}, but must be one of {', '.join(FORMATS)}", fault="request")
    directory = instance_directory(state_dir, instance.get("uuid", ""))
    label, documents = KINDS[kind]
    files = documents(seed.read(instance, secrets))
    chosen = config_drive.bus((instance.get("image") or {}).get("properties") or {}, bus)
    digest = _digest(instance["uuid"], f"{system} {label}", files)
    return Drive(os.path.join(directory, FILE), system, label, files, chosen, digest)


def as_wanted(drive: Drive) -> bool:
    """Return whether the file is there as it was left, and was made from the same documents."""
    state = regular(drive.path)
    try:
        record = Record(**read_json(_record_path(drive)))
    except TypeError:
        return False
    if state is None or state.st_mode & 0o777 != 0o600:
        return False
    return record == Record(drive.digest, state.st_size, state.st_mtime_ns)


def look(instance: dict[str, Any], secrets: dict[str, Any], state_dir: str, bus: str) -> Outcome:
    """Return what a run would do."""
    with plainly("the config drive could not be read"):
        drive = wanted(instance, secrets, state_dir, bus)
        return _outcome(instance, drive, drive is not None and not as_wanted(drive))


def provide(instance: dict[str, Any], secrets: dict[str, Any], state_dir: str, run_dir: str, bus: str) -> Outcome:
    """The config drive is there, for root alone until libvirt gives it to the guest's QEMU."""
    drive = wanted(instance, secrets, state_dir, bus)
    if drive is None or as_wanted(drive):
        return _outcome(instance, drive, False)
    with plainly("the config drive could not be written"), locked(instance_lock(run_dir, instance["uuid"])):
        make_directory(os.path.dirname(drive.path))
        state = write_whole(drive.path, FORMATS[drive.format](drive.label, drive.files), 0o600)
        record = Record(drive.digest, state.st_size, state.st_mtime_ns)
        write_whole(_record_path(drive), json.dumps(asdict(record)).encode(), 0o600)
    return _outcome(instance, drive, True)


def look_removed(instance: dict[str, Any], state_dir: str) -> Outcome:
    """Return what a run would remove."""
    path = os.path.join(instance_directory(state_dir, instance.get("uuid", "")), FILE)
    return _removal(instance, path, regular(path) is not None)


def withdraw(instance: dict[str, Any], state_dir: str, run_dir: str) -> Outcome:
    """No config drive of the instance is left, half-made ones included."""
    directory = instance_directory(state_dir, instance.get("uuid", ""))
    lock = instance_lock(run_dir, instance["uuid"])
    with plainly("the config drive could not be removed"), locked(lock):
        gone = remove_files(directory, {FILE, RECORD, FILE + UNFINISHED, RECORD + UNFINISHED})
        os.unlink(lock)
    return _removal(instance, os.path.join(directory, FILE), bool(gone))


def _record_path(drive: Drive) -> str:
    return os.path.join(os.path.dirname(drive.path), RECORD)


def _digest(instance_uuid: str, label: str, files: dict[str, bytes]) -> str:
    """Return a digest of the documents that cannot be looked up in a table of known ones."""
    running = hmac.new(instance_uuid.encode(), f"{LAYOUT} {label}".encode(), hashlib.sha256)
    for path in sorted(files):
        running.update(f"\0{path}\0{len(files[path])}\0".encode())
        running.update(files[path])
    return running.hexdigest()


def _outcome(instance: dict[str, Any], drive: Drive | None, changed: bool) -> Outcome:
    if drive is None:
        return Outcome(instance["name"])
    facts = {"config_drive_path": drive.path, "config_drive_bus": drive.bus}
    after = {"config_drive": drive.path, "files": sorted(drive.files)} if changed else {}
    return Outcome(instance["name"], changed=changed, after=after, facts=facts)


def _removal(instance: dict[str, Any], path: str, there: bool) -> Outcome:
    return Outcome(instance["name"], changed=there, before={"config_drive": path} if there else {})
