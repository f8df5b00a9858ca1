# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the cache, for people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from . import records
from .image import Base


def images(directory: str, users: Mapping[str, list[str]] | None) -> list[dict[str, Any]]:
    """Return every image of the cache by name; `users` are the guests that need each file, None when unknown."""
    sizes = records.sizes(directory)
    recorded = records.all_of(directory)
    entries = [_entry(directory, identity, base, sizes, users) for identity, base in recorded.items()]
    strays = set(sizes) - {base.file for base in recorded.values()}
    entries += [_stray(directory, file, sizes, users) for file in strays]
    return sorted(entries, key=lambda one: (one["name"], one["id"]))


def _entry(
    directory: str, identity: str, base: Base, sizes: Mapping[str, int], users: Mapping[str, list[str]] | None
) -> dict[str, Any]:
    told = {key: value for key, value in asdict(base).items() if key != "mtime_ns"}
    return {
        **told,
        "id": identity,
        "path": os.path.join(directory, base.file),
        "size": sizes.get(base.file, 0),
        "used_at": _time(records.last_use(directory, base.file)),
        "altered": not records.unaltered(directory, base),
        "used_by": None if users is None else users.get(base.file, []),
    }


def _stray(
    directory: str, file: str, sizes: Mapping[str, int], users: Mapping[str, list[str]] | None
) -> dict[str, Any]:
    """Return a file that no record names: verification took its record, or somebody put it there."""
    unknown = dict.fromkeys(("name", "url", "checksum", "packed", "fetched_at", "verified_at"), "")
    return {
        **unknown,
        "id": "",
        "path": os.path.join(directory, file),
        "format": file.rpartition(".")[2],
        "size": sizes[file],
        "virtual_size": 0,
        "used_at": _time(records.last_use(directory, file)),
        "altered": True,
        "used_by": None if users is None else users.get(file, []),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
