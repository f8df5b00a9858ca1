# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of libvirt's backup jobs and checkpoints, and the disks they are about. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .read import of
from .tree import add, etree, parse, serialize


@dataclass(frozen=True)
class Disk:
    """A disk of a domain: its name there, its file and format, and the files below it, nearest first."""

    dev: str
    path: str
    format: str
    below: tuple[str, ...] = ()
    readonly: bool = False
    serial: str = ""


def disks(text: str) -> list[Disk]:
    """Return the disks of a domain's document; only that of a running one tells what is below them."""
    return [
        Disk(
            dev=of(node, "target", "dev"),
            path=source(node),
            format=of(node, "driver", "type"),
            below=tuple(source(one) for one in node.iterfind(".//backingStore") if source(one)),
            readonly=node.find("readonly") is not None,
            serial=node.findtext("serial") or "",
        )
        for node in parse(text).iterfind("devices/disk")
    ]


def source(node: Any) -> str:
    """Return what the source of a disk or of one below it is called."""
    found = node.find("source")
    return "" if found is None else found.get("file") or found.get("dev") or found.get("name") or ""


def backup(
    targets: dict[str, str], all_devs: list[str], since: str = "", secrets: Mapping[str, str] | None = None
) -> str:
    """Return the document of a job that writes each disk to its file, whole or what changed since a checkpoint.

    The file of a disk that has a secret of libvirt is encrypted with it.
    """
    root = etree.Element("domainbackup", mode="push")
    if since:
        add(root, "incremental", since)
    each = add(root, "disks")
    for dev in all_devs:
        if dev in targets:
            disk = add(each, "disk", name=dev, backup="yes", type_="file")
            add(disk, "driver", type_="qcow2")
            target = add(disk, "target", file=targets[dev])
            if dev in (secrets or {}):
                add(add(target, "encryption", format="luks"), "secret", type_="passphrase", uuid=secrets[dev])
        else:
            add(each, "disk", name=dev, backup="no")
    return serialize(root)


def checkpoint(name: str, devs: list[str], all_devs: list[str]) -> str:
    """Return the document of a checkpoint: from then on it is known what is written to these disks."""
    root = etree.Element("domaincheckpoint")
    add(root, "name", name)
    each = add(root, "disks")
    for dev in all_devs:
        kind = {"checkpoint": "bitmap", "bitmap": name} if dev in devs else {"checkpoint": "no"}
        add(each, "disk", name=dev, **kind)
    return serialize(root)


def job_files(text: str) -> list[str]:
    """Return the files that a running backup job writes."""
    return [one.get("file", "") for one in parse(text).iterfind("disks/disk/target")]
