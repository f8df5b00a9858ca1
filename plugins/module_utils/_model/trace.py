# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something of ours that lies on a host and may belong to nothing. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where one looks: `connection` is libvirt's.

    `domains` are the definitions of all domains of the host by uuid, `live` those of the guests that run. `stores` are
    the pools of Ceph and groups of LVM to look into, each as a volume type has it; of what is in a pool that all hosts
    see, the disks of the instances and the volumes `known`, by their ids, are left out. `snapshots` and `backups` are
    the directories of copies.
    """

    state_dir: str = "/var/lib/virtfleet"
    run_dir: str = "/run/virtfleet"
    domains: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    connection: Any = None
    stores: tuple[Mapping[str, Any], ...] = ()
    known: frozenset[str] = frozenset()
    snapshots: str = ""
    backups: str = ""

    def names(self, uuid: str, word: str) -> bool:
        """Say whether the domain speaks of something, as it is defined or as it runs."""
        return word in self.domains.get(uuid, "") or word in self.live.get(uuid, "")


@dataclass(frozen=True)
class Trace:
    """One thing, stray or not; `kind` is the key of its entry in the table of kinds.

    `owner` is the uuid of the instance that it belongs to: it is stray if that instance has no domain here and is not
    being made. `within` is the uuid of the instance that it lies beside and does not belong to. With neither it is
    stray in any case, but for what the inventory names. Ages are seconds: `age` since its last sign of life, `old`
    since it was made, each None where nobody knows. `removable` says whether its kind can be taken away by a sweep.
    `volume` is the id of the volume with a life of its own that it is, which is stray if nobody knows that.
    """

    kind: str
    name: str
    evidence: str
    remedy: str
    owner: str = ""
    within: str = ""
    age: int | None = None
    old: int | None = None
    removable: bool = True
    volume: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the trace as what a module returns."""
        return asdict(self)
