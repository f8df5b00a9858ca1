# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's backup jobs: a copy of a running guest's disks as of one moment, without a change to them. Private."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .._model.errors import ItemError
from .._model.volume import Volume
from .._qemu_img import ATTEMPTS, UNTIMED
from .._xml import backup as xml
from .._xml.metadata import remembered
from .._xml.tree import parse
from .connection import failing_to, libvirt
from .frozen import frozen

POLL = 0.1
PREFIX = "virtfleet-"  # of our checkpoints


@dataclass(frozen=True)
class Job:
    """What is to be copied: by the disk's name in the guest the file to write.

    `since` and `checkpoint` are names of checkpoints; `secrets` are those of libvirt that the files of some disks are
    encrypted with.
    """

    targets: dict[str, str]
    since: str = ""
    checkpoint: str = ""
    quiesce: bool = False
    secrets: dict[str, str] = field(default_factory=dict)


def find(connection: Any, uuid: str, name: str) -> Any:
    """Return the domain of the instance."""
    with failing_to(f"find instance {name} on this host"):
        return connection.lookupByUUIDString(uuid)


def volumes(domain: Any) -> tuple[Volume, ...]:
    """Return the volumes that the domain remembers."""
    with failing_to(f"read domain {domain.name()}"):
        instance = remembered(parse(domain.XMLDesc(0)))
    return instance.volumes if instance else ()


def runs(domain: Any) -> bool:
    """Say whether the guest is on."""
    with failing_to(f"read the state of {domain.name()}"):
        return bool(domain.isActive())


def chain(domain: Any, bases: Iterable[str]) -> list[xml.Disk]:
    """Return the disks of the domain; ItemError if anything is below them that we did not put there.

    Somebody else's snapshot or block job would change what the files are while they are copied.
    """
    with failing_to(f"read the disks of {domain.name()}"):
        disks = xml.disks(domain.XMLDesc(0))
        snapshots = domain.snapshotNum(0)
    if snapshots:
        raise ItemError(
            f"{domain.name()} has {snapshots} snapshots of libvirt, which are not ours: delete or merge them first"
        )
    for disk in disks:
        foreign = [path for path in disk.below if path not in set(bases)]
        if foreign:
            raise ItemError(
                f"disk {disk.dev} of {domain.name()} lies on {foreign[0]}, which is none of its images: "
                "somebody made a snapshot by hand; merge it first"
            )
    return disks


def abandon(domain: Any, directories: Iterable[str]) -> bool:
    """A job that a killed run left, writing into our directories, is ended; says whether there was one."""
    writes = written(domain)
    if not writes:
        return False
    if not all(path.startswith(tuple(f"{one}/" for one in directories)) for path in writes):
        raise ItemError(f"{domain.name()} is being backed up by somebody else to {writes[0]}: wait until it is done")
    with contextlib.suppress(libvirt.libvirtError):  # it ended in the meantime
        domain.abortJob()
    end = time.monotonic() + 60
    while _runs_job(domain) and time.monotonic() < end:
        time.sleep(POLL)
    return True


def written(domain: Any) -> list[str]:
    """Return the files that a running backup job of the domain writes; none if no such job runs."""
    try:
        return xml.job_files(domain.backupGetXMLDesc(0))
    except libvirt.libvirtError:
        return []


def copy(domain: Any, disks: list[xml.Disk], job: Job, uri: str) -> None:
    """The files hold what the disks held at one moment; of a job that fails nothing is left but the files."""
    every = [disk.dev for disk in disks]
    document = xml.backup(job.targets, every, job.since, job.secrets)
    point = xml.checkpoint(job.checkpoint, list(job.targets), every) if job.checkpoint else None
    still = frozen(domain, uri) if job.quiesce else contextlib.nullcontext()
    with still, failing_to(f"start the backup of {domain.name()}"):
        _begin(domain, document, point)
    _wait(domain)


def _begin(domain: Any, document: str, point: str | None) -> None:
    """The job runs; where QEMU could not tell how fast it makes the key of an encrypted file it is begun again."""
    for left in reversed(range(ATTEMPTS)):
        try:
            domain.backupBegin(document, point, 0)
            return
        except libvirt.libvirtError as error:
            if UNTIMED not in str(error) or not left:
                raise


def _runs_job(domain: Any) -> bool:
    with failing_to(f"read the job of {domain.name()}"):
        return domain.jobStats().get("type", libvirt.VIR_DOMAIN_JOB_NONE) != libvirt.VIR_DOMAIN_JOB_NONE


def _wait(domain: Any) -> None:
    """The job has come to its end; ItemError if that is not the good one."""
    while _runs_job(domain):
        time.sleep(POLL)
    with failing_to(f"read how the backup of {domain.name()} ended"):
        ended = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if not ended.get("success"):
        raise ItemError(f"the backup of {domain.name()} failed: {ended.get('errmsg') or 'it was aborted'}; run again")


def checkpoints(domain: Any) -> list[str]:
    """Return the names of our checkpoints of the domain."""
    with failing_to(f"list the checkpoints of {domain.name()}"):
        return sorted(one.getName() for one in domain.listAllCheckpoints(0) if one.getName().startswith(PREFIX))


def forget(domain: Any, names: Iterable[str], only_names: bool = False) -> None:
    """The checkpoints are gone; with `only_names` libvirt forgets them though the disk does not have them any more."""
    flags = libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY if only_names else 0
    for name in names:
        with failing_to(f"delete checkpoint {name} of {domain.name()}"):
            domain.checkpointLookupByName(name, 0).delete(flags)
