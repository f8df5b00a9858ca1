# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of what was done to each instance: who, when, what, why; Nova's instance actions. Private to this collection.

It outlives the instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sql import sa

if sa is not None:
    from .schema import ACTIONS


def entry(instance: Mapping[str, Any], action: str, now: str, run: str, who: str, why: str) -> dict[str, Any]:
    """Return the row that says what was done to an instance."""
    about = {key: instance[key] for key in ("project", "name", "host")}
    return {"at": now, "instance": instance["uuid"], **about, "action": action, "run": run, "who": who, "why": why}


def latest(connection: Any, count: int) -> list[dict[str, Any]]:
    """Return the last so many entries, the newest first."""
    query = sa.select(ACTIONS).order_by(ACTIONS.c.id.desc()).limit(count)
    return [dict(row) for row in connection.execute(query).mappings()]
