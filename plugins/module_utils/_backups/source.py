# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of an instance as they are to be copied, whether it runs or not."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import _qemu_img
from .._files import UNFINISHED, instance_directory, make_directory, sync
from .._hypervisor import backup_job, secrets
from .._model import naming, volume_keys
from .._model.errors import ItemError
from .._model.volume_keys import passphrase
from .._volumes import qcow2
from .._volumes.backends import BACKENDS
from .._volumes.volume import GIB, Volume, recorded

COPY_SECONDS = 24 * 3600  # of CPU


@dataclass(frozen=True)
class Place:
    """Where things are on this host."""

    state_dir: str
    run_dir: str
    uri: str
    directory: str  # of the snapshots, or of all backups
    keys: Mapping[str, Any] = field(default_factory=dict)  # the passphrases of encrypted volumes


@dataclass(frozen=True)
class Source:
    """An instance on this host: its domain, its volumes by name and whether it runs."""

    name: str
    uuid: str
    domain: Any
    volumes: dict[str, Volume]
    running: bool


def find(connection: Any, instance: dict[str, Any], place: Place, alone: bool = True) -> Source:
    """Return the instance with its volumes; ItemError if one of them is not where it should be.

    Those with a life of their own that it has now are among them if asked for.
    """
    name, uuid = instance["name"], instance["uuid"]
    domain = backup_job.find(connection, uuid, name)
    volumes = recorded(instance_directory(place.state_dir, uuid))
    if alone:
        volumes = {**_alone(domain), **volumes}
    gone = [one.path for one in volumes.values() if BACKENDS[one.backend].state(one) != "ready"]
    if gone or not volumes:
        raise ItemError(f"{name} has no disk {', '.join(gone) or 'on record'}: nothing was copied")
    return Source(name, uuid, domain, volumes, backup_job.runs(domain))


def _alone(domain: Any) -> dict[str, Volume]:
    """Return the volumes of the instance that have a life of their own, by name, as its domain remembers them."""
    found = {}
    for one in backup_job.volumes(domain):
        if one.id:
            words = {"id": one.id, "pool": one.pool, "encryption": one.encryption, "key": one.key}
            known = Volume(one.name, one.backend, one.format, one.path, one.size_gb * GIB, **words)
            found[one.name] = BACKENDS[one.backend].remembered(known) or known
    return found


def abandon(source: Source, place: Place) -> None:
    """What a killed run left running on the instance is ended; the caller holds the lock of the instance."""
    if source.running:
        backup_job.abandon(source.domain, [place.directory])


def copy(source: Source, files: dict[str, str], place: Place, plain: bool = False, **how: Any) -> None:
    """Each named volume is in its file, all as of one moment. A guest that runs goes on.

    The file of an encrypted volume is encrypted with its passphrase, unless it is asked for in clear.
    """
    _room(source, list(files), place.directory)
    for path in files.values():
        make_directory(os.path.dirname(path))
    if source.running:
        disks = backup_job.chain(source.domain, [one.base for one in source.volumes.values() if one.base])
        devs = _devices(source, disks)
        lost = [name for name in files if name not in devs]
        if lost:
            raise ItemError(f"{source.name} runs without its disk {', '.join(lost)}: somebody detached it by hand")
        locked = [] if plain else [name for name in files if source.volumes[name].encryption]
        _give(source, locked, place.keys)
        given = {devs[name]: naming.volume_secret_id(source.uuid, name) for name in locked}
        targets = {devs[name]: path for name, path in files.items()}
        backup_job.copy(source.domain, disks, backup_job.Job(targets, secrets=given, **how), place.uri)
    else:
        for name, path in files.items():
            _convert(source.volumes[name], path, place, plain)
    for path in files.values():
        os.chmod(path, 0o600)
        sync(path)


def _give(source: Source, locked: list[str], keys: Mapping[str, Any]) -> None:
    """libvirt has the passphrases that are known: those of a guest that runs are gone if it was started anew since."""
    for one in (source.volumes[name] for name in locked):
        if any(keys.get(name) for name in volume_keys.names(asdict(one))):
            secrets.give(source.domain.connect(), source.uuid, one, passphrase(asdict(one), keys))


def _devices(source: Source, disks: list[Any]) -> dict[str, str]:
    """Return by volume the name of its disk in the guest: servers may call two of them the same, serials differ."""
    serials = {disk.serial: disk.dev for disk in disks if disk.serial}
    paths = {disk.path: disk.dev for disk in disks}
    found = {name: serials.get(one.id) if one.id else paths.get(one.path) for name, one in source.volumes.items()}
    return {name: dev for name, dev in found.items() if dev}


def _convert(volume: Volume, path: str, place: Place, plain: bool) -> None:
    """The file holds what is on the disk of a guest that is off; QEMU's locks keep it off meanwhile."""
    key = passphrase(asdict(volume), place.keys)
    closed = qcow2.LUKS if volume.encryption and not plain else []
    source = BACKENDS[volume.backend].opened(volume, volume.path)
    arguments = ["convert", "--image-opts", source, "-O", "qcow2", *closed, path]
    _qemu_img.run(arguments, f"copy {volume.path}", cpu_seconds=COPY_SECONDS, address_space=0, passphrase=key)


def _room(source: Source, names: list[str], directory: str) -> None:
    """There is room for all that the disks and what is below them hold, so that no copy stops in the middle."""
    make_directory(directory)
    state = os.statvfs(directory)
    held = 0
    for name in names:
        for path in (source.volumes[name].path, source.volumes[name].base):
            held += os.stat(path).st_blocks * 512 if path and os.path.isfile(path) else 0  # else nobody knows
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
