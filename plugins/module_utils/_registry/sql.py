# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLAlchemy where it is installed; connection.py says what to install where it is not. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

try:
    import sqlalchemy as sa
except ImportError:
    sa = None

# SQLite before 3.32 takes 999 values in one statement.
CHUNK = 500
TIME = "%Y-%m-%d %H:%M:%S"
CLOCKS = {
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%S', 'now')",
    "postgresql": "SELECT to_char(clock_timestamp() AT TIME ZONE 'utc', 'YYYY-MM-DD HH24:MI:SS')",
}


def fetch(connection: Any, statement: Any, column: Any, values: Iterable[Any]) -> list[Any]:
    """Return the rows of the statement in which the column has one of these values, however many they are."""
    wanted = sorted(set(values))
    rows = []
    for start in range(0, len(wanted), CHUNK):
        rows += connection.execute(statement.where(column.in_(wanted[start : start + CHUNK]))).all()
    return rows


def insert(connection: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    """Add the rows, which all have the same keys, in one statement."""
    if rows:
        connection.execute(table.insert(), rows)


def delete(connection: Any, table: Any, column: Any, values: Iterable[Any]) -> None:
    """Remove the rows in which the column has one of these values."""
    wanted = [{"b_value": value} for value in sorted(set(values))]
    if wanted:
        connection.execute(table.delete().where(column == sa.bindparam("b_value")), wanted)


def clock(connection: Any) -> str:
    """Return the time of the registry, in UTC: all runs read this one clock and not those of their controllers."""
    return connection.exec_driver_sql(CLOCKS[connection.dialect.name]).scalar_one()


def later(moment: str, seconds: int) -> str:
    """Return the time so many seconds after the moment."""
    return (datetime.strptime(moment, TIME) + timedelta(seconds=seconds)).strftime(TIME)


def seconds_between(earlier: str, moment: str) -> int:
    """Return how many seconds lie between two times."""
    return int((datetime.strptime(moment, TIME) - datetime.strptime(earlier, TIME)).total_seconds())
