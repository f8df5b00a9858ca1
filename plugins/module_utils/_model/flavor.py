# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a guest is. Private to this collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .record import known, number

COUNTED = ("vcpus", "memory_mb", "disk_gb", "ephemeral_gb", "swap_mb")


@dataclass(frozen=True)
class Flavor:
    """Nova's flavor: sizes in MiB and GiB, and the extra specs."""

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    extra_specs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: dict[str, Any], where: str = "the flavor") -> Flavor:
        """Return the flavor of a record."""
        given = known(cls, record, where)
        return cls(**{**given, **{key: number(given[key], f"{key} of {where}") for key in COUNTED if key in given}})

    @property
    def promised_disk_gb(self) -> int:
        """Return what a guest of this flavor may fill: Nova's DISK_GB (root, ephemeral and swap, rounded up)."""
        return self.disk_gb + self.ephemeral_gb + -(-self.swap_mb // 1024)
