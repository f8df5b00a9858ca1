# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest's root disk is made from. Private to this collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .record import known


@dataclass(frozen=True)
class Image:
    """An entry of the image catalogue.

    `url` is one, or several of the same file; `properties` are Nova's image properties (hw_disk_bus, os_type ...).
    """

    name: str
    url: str | list[str] = ""
    checksum: str = ""
    disk_format: str = "qcow2"
    min_disk_gb: int = 0
    min_ram_mb: int = 0
    properties: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: dict[str, Any], where: str = "the image") -> Image:
        """Return the image of a record."""
        return cls(**known(cls, record, where))
