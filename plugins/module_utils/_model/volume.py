# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of a guest. Private to this collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .record import known


@dataclass(frozen=True)
class Volume:
    """One disk; `path` and `format` are empty until stage volume has built it, `base` is the image it grows from."""

    name: str
    backend: str
    size_gb: int = 0
    boot_index: int | None = None
    path: str = ""
    format: str = ""
    base: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any], where: str = "the volume") -> Volume:
        """Return the volume of a record."""
        return cls(**known(cls, record, where))
