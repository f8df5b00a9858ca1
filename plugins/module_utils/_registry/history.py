# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the log knows of instances that are gone, so that what is left of them can be told from what was lost.

Private to this collection.
"""

from __future__ import annotations

from typing import Any

from .sql import clock, sa, seconds_between

if sa is not None:
    from .schema import ACTIONS, SCHEMA_VERSION

# The actions after which nothing of an instance should be on the host they name; a move leaves all other hosts.
ENDS = ("release", "delete", "sweep")
MOVE = "move"


def history(connection: Any) -> dict[str, Any]:
    """Return the time and how old the registry is, and since when each instance is gone from each host.

    `gone` has by uuid and host the seconds since the last action there, if that was one after which nothing is left, or
    else since the instance moved on to another host.
    """
    now = clock(connection)
    made = connection.execute(sa.select(sa.func.min(SCHEMA_VERSION.c.at))).scalar_one()
    last = sa.select(sa.func.max(ACTIONS.c.id)).group_by(ACTIONS.c.instance, ACTIONS.c.host)
    moved = sa.select(sa.func.max(ACTIONS.c.id)).where(ACTIONS.c.action == MOVE).group_by(ACTIONS.c.instance)
    moves = {row.instance: row for row in connection.execute(sa.select(ACTIONS).where(ACTIONS.c.id.in_(moved)))}
    gone: dict[str, dict[str, int]] = {}
    for row in connection.execute(sa.select(ACTIONS).where(ACTIONS.c.id.in_(last))):
        move = moves.get(row.instance)
        left = row if row.action in ENDS else move if move is not None and move.id > row.id else None
        if left is not None:
            gone.setdefault(row.instance, {})[row.host] = seconds_between(left.at, now)
    return {"now": now, "age": seconds_between(made, now), "gone": gone}
