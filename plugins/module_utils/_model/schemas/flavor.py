# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a flavor. Private to this collection."""

from __future__ import annotations

from .words import PROPERTIES, number, record

FLAVOR = record(
    "A size.",
    ["vcpus", "memory_mb"],
    {
        "vcpus": number("Virtual CPUs.", 1),
        "memory_mb": number("Memory in MiB.", 1),
        "disk_gb": number("Size of the root disk in GiB; 0 keeps the size of the image.", default=0),
        "ephemeral_gb": number(
            "Size in GiB of a second disk with an empty file system, labelled `ephemeral0`.", default=0
        ),
        "swap_mb": number("Size in MiB of a swap disk, labelled `swap`.", default=0),
        "extra_specs": {
            **PROPERTIES,
            "description": "What the scheduler and the guest need beyond size, in Nova's names.",
            "examples": [{"hw:cpu_policy": "dedicated"}],
        },
        "description": {"type": "string", "description": "For people.", "maxLength": 65535, "default": ""},
    },
)
