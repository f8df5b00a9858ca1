# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of an instance as they are to be copied, whether it runs or not."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from .. import _qemu_img
from .._files import UNFINISHED, instance_directory, make_directory, regular, sync
from .._hypervisor import backup_job
from .._model.errors import ItemError
from .._volumes.backends import BACKENDS
from .._volumes.volume import Volume, recorded


@dataclass(frozen=True)
class Place:
    """Where things are on this host."""

    state_dir: str
    run_dir: str
    uri: str
    directory: str  # of the snapshots, or of all backups


@dataclass(frozen=True)
class Source:
    """An instance on this host: its domain, its volumes by name and whether it runs."""

    name: str
    uuid: str
    domain: Any
    volumes: dict[str, Volume]
    running: bool


def find(connection: Any, instance: dict[str, Any], place: Place, also_alone: bool = False) -> Source:
    """Return the instance with its volumes as the host recorded them; ItemError if its chain is not as we made it.

    Those with a life of their own only if asked for.
    """
    name, uuid = instance["name"], instance["uuid"]
    domain = backup_job.find(connection, uuid, name)
    volumes = recorded(instance_directory(place.state_dir, uuid))
    gone = [one.path for one in volumes.values() if regular(one.path) is None]
    if gone or not volumes:
        raise ItemError(f"{name} has no disk {', '.join(gone) or 'on record'}: nothing was copied")
    if also_alone:
        volumes = {**_alone(domain), **volumes}
    return Source(name, uuid, domain, volumes, backup_job.runs(domain))


def _alone(domain: Any) -> dict[str, Volume]:
    """Return the volumes of the instance that have a life of their own and are files, by name."""
    found = {}
    for one in backup_job.volumes(domain):
        if one.id and BACKENDS[one.backend].FILES:
            known = Volume(one.name, one.backend, one.format, one.path, 0, id=one.id, pool=one.pool)
            found[one.name] = BACKENDS[one.backend].remembered(known) or known
    return {name: one for name, one in found.items() if regular(one.path)}


def abandon(source: Source, place: Place) -> None:
    """What a killed run left running on the instance is ended; the caller holds the lock of the instance."""
    if source.running:
        backup_job.abandon(source.domain, [place.directory])


def copy(source: Source, files: dict[str, str], place: Place, **how: Any) -> None:
    """Each named volume is in its file, all as of one moment. A guest that runs goes on."""
    closed = [name for name in files if source.volumes[name].encryption]
    if closed:
        told = f"{source.name} has the encrypted disk {', '.join(closed)}, and a copy of it would be in clear"
        raise ItemError(f"{told}: nothing was copied", fault="request")
    _room(source, list(files), place.directory)
    for path in files.values():
        make_directory(os.path.dirname(path))
    if source.running:
        disks = backup_job.chain(source.domain, [one.base for one in source.volumes.values() if one.base])
        known = {disk.path for disk in disks}
        lost = [name for name in files if source.volumes[name].path not in known]
        if lost:
            raise ItemError(f"{source.name} runs without its disk {', '.join(lost)}: somebody detached it by hand")
        targets = {source.volumes[name].path: path for name, path in files.items()}
        backup_job.copy(source.domain, disks, backup_job.Job(targets, **how), place.uri)
    else:
        for name, path in files.items():
            _convert(source.volumes[name], path)
    for path in files.values():
        os.chmod(path, 0o600)
        sync(path)


def _convert(volume: Volume, path: str) -> None:
    """The file holds what is on the disk of a guest that is off; QEMU's locks keep it off meanwhile."""
    arguments = ["convert", "-f", volume.format, "-O", "qcow2", volume.path, path]
    _qemu_img.run(arguments, f"copy {volume.path}", cpu_seconds=3600)


def _room(source: Source, names: list[str], directory: str) -> None:
    """There is room for all that the disks and what is below them hold, so that no copy stops in the middle."""
    make_directory(directory)
    state = os.statvfs(directory)
    held = 0
    for name in names:
        for path in (source.volumes[name].path, source.volumes[name].base):
            held += os.stat(path).st_blocks * 512 if path and os.path.exists(path) else 0
    if held > state.f_bavail * state.f_frsize:
        raise ItemError(
            f"no space left in {directory}: need up to {held >> 20} MiB, have {state.f_bavail * state.f_frsize >> 20}"
        )


def finished(path: str) -> str:
    """Return the name that a file gets when it is whole."""
    return path[: -len(UNFINISHED)]


def publish(files: dict[str, str]) -> dict[str, str]:
    """The files have their names."""
    for path in files.values():
        os.rename(path, finished(path))
        sync(os.path.dirname(path))
    return {name: finished(path) for name, path in files.items()}


def now() -> str:
    """Return the host's time as records have it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
