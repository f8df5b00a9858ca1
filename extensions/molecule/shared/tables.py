# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print every table of the registry of this host as JSON, without what tells when and by which run a row was written.

Of the records of instances what the hosts remember counts; of those of hosts that there is one.
"""

from __future__ import annotations

import json
import sqlite3

STAMPS = ("run", "at", "updated_at", "lease_until")
# What is empty or false on one side and not written down on the other says the same.
EMPTY = (None, [], {}, "", False)

connection = sqlite3.connect("file:/var/lib/virtfleet/registry/registry.db?mode=ro", uri=True)
told = {}
for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
    rows = connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in rows.description]
    told[table] = [{key: one for key, one in zip(names, row) if key not in STAMPS} for row in rows.fetchall()]
del told["actions"]
for one in told["hosts"]:
    one["record"] = json.loads(one["record"])["name"]
for one in told["instances"]:
    record = json.loads(one["record"])
    parts = [part for value in record.values() if isinstance(value, list) for part in value if isinstance(part, dict)]
    for part in (record, *parts):
        for key in [key for key, value in part.items() if value in EMPTY]:
            del part[key]
    one["record"] = record
told = {table: sorted(rows, key=lambda row: json.dumps(row, sort_keys=True)) for table, rows in told.items()}
print(json.dumps(told, indent=1, sort_keys=True))
