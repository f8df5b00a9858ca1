# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a cell. Private to this collection."""

from __future__ import annotations

from .words import or_null, record, text

CELL = record(
    "A part of the fleet with a registry of its own. One whose group has the hosts of others has none: it is those.",
    [],
    {
        "group": or_null(text("The inventory group with its hosts; `cell_` and its name unless given.")),
        "registry_host": or_null(text("The host on which its registry is reached; its first one unless given.")),
        "registry_url": or_null(text("Its registry; a file of its own on that host unless given.")),
    },
)
