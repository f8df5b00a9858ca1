# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a project. Private to this collection."""

from __future__ import annotations

from .words import Schema, number, record


def limit(description: str) -> Schema:
    """Return the schema of a quota."""
    return number(f"{description}; -1 for no limit.", -1, default=-1)


PROJECT = record(
    "Somebody who owns guests.",
    [],
    {
        "quota": record(
            "How much it may have in the whole fleet.",
            [],
            {
                "instances": limit("Number of instances"),
                "cores": limit("Virtual CPUs"),
                "memory_mb": limit("Memory in MiB"),
            },
            default={},
        ),
        "description": {"type": "string", "description": "For people.", "maxLength": 255, "default": ""},
    },
)
