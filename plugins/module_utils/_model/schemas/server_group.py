# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a server group. Private to this collection."""

from __future__ import annotations

from .words import choice, number, record

SERVER_GROUP = record(
    "Guests that belong together, or apart.",
    ["policy"],
    {
        "policy": choice(
            "On one host, on different hosts, or so far as possible (soft).",
            "affinity",
            "anti-affinity",
            "soft-affinity",
            "soft-anti-affinity",
        ),
        "rules": record(
            "Only for anti-affinity.",
            [],
            {"max_server_per_host": number("How many of the group one host may have.", 1, default=1)},
            default={},
        ),
    },
)
