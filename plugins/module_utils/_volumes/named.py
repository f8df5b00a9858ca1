# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the names of disks in a pool or volume group say: backends that have no files mark ours so. Private."""

from __future__ import annotations

import re
import uuid
from collections.abc import Container
from dataclasses import dataclass

from .._files import UNFINISHED, is_uuid

DISK = re.compile(r"(?P<owner>[0-9a-f-]{36})_(?:root|swap|ephemeral[0-9]{1,2})")
IMAGE = re.compile(r"virtfleet-[0-9a-zA-Z_-]+")
HALF_IMAGE = re.compile(r"virtfleet-[0-9a-zA-Z_-]+\.[0-9a-f]{32}\.new")


@dataclass(frozen=True)
class Named:
    """What a disk of ours is: of which instance (`owner`), which volume with a life of its own, or an image to clone.

    `half` says that nobody has finished it.
    """

    owner: str = ""
    volume: str = ""
    image: bool = False
    half: bool = False

    @property
    def removable(self) -> bool:
        """Say whether nobody can want what is in it: a finished volume with a life of its own may be wanted."""
        return self.half or not self.volume

    @property
    def what(self) -> str:
        """Return what it is, in words; of an image that is told of at all, disks cannot be cloned from it."""
        if self.half:
            return "was never finished"
        return "is a volume" if self.volume else "is a disk" if self.owner else "has no snapshot to clone from"

    @property
    def back(self) -> str:
        """Return what may be done instead of removing it, in words."""
        return "" if self.removable else "put it back into virtfleet_volumes, or "

    def whose(self, name: str, others: Container[str]) -> tuple[str, str]:
        """Return its owner, or the instance that it lies beside the finished disk of; `others` are the names there."""
        beside = self.half and self.owner and name[: -len(UNFINISHED)] in others
        return ("", self.owner) if beside else (self.owner, "")


def read(name: str) -> Named | None:
    """Return what the name says, None where it is none of ours."""
    if HALF_IMAGE.fullmatch(name):
        return Named(image=True, half=True)
    if IMAGE.fullmatch(name):
        return Named(image=True)
    whole = name[: -len(UNFINISHED)] if name.endswith(UNFINISHED) else name
    disk = DISK.fullmatch(whole)
    if disk and is_uuid(disk["owner"]):
        return Named(owner=disk["owner"], half=whole != name)
    if is_uuid(whole) and uuid.UUID(whole).version == 5:  # derived from its name, as ours are
        return Named(volume=whole, half=whole != name)
    return None
