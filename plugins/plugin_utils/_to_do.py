# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to do for each instance. Private to this collection.

Each record is compared with what the hosts told about the instance, and has `existing`, whether it was there before
this run, and `todo`, one of create, update, start, stop, delete, wait and none. An instance that exists is never undone
when something fails, so `existing` is what guards its disks. One whose ports are damaged is updated, for that plugs
them again. `wait` is for one whose host did not answer; it fails if it is to be made, changed or deleted.
"""

from __future__ import annotations

from ..module_utils._model.host import POWER_OF_STATE

SILENT = "host {host} did not answer, so it stays as it is: run again when the host does"


def to_do(records, existing, left=None):
    """Return the records with what is left to do for each; `left` is what leftovers() returns."""
    there = {one["uuid"]: one for one in existing}
    return [with_task(one, there.get(one["uuid"]), (left or {}).get(one["uuid"])) for one in records]


def with_task(record, found, leftover):
    """Return one record with its task."""
    ours = bool(found) and bool(found.get("ours"))
    if ours and found.get("state") == "unknown" and not record.get("failed"):
        return waiting(record, found)
    if record["state"] == "absent" and leftover and not found and not record.get("failed"):
        return {"failed": False, **record, "host": leftover, "existing": False, "todo": "delete"}
    todo = "none" if record.get("failed") else task(record, found if ours else None)
    return {"failed": False, **record, "existing": ours, "todo": todo}


def waiting(record, found):
    """Return the record of an instance whose host did not answer: it fails unless it was there and shall stay so."""
    stays = record["state"] != "absent" and found["settled"] and found["spec_digest"] == record["spec_digest"]
    failure = {"failed": not stays}
    if not stays:
        failure.update(fault="host", msg=SILENT.format(host=found["host"]))
    return {**record, **failure, "existing": True, "todo": "wait", "host": found["host"], "power_state": "unknown"}


def task(record, found):
    """Return the one word for what is left to do."""
    if record["state"] == "absent":
        return "delete" if found else "none"
    if not found:
        return "create"
    if found.get("spec_digest") != record["spec_digest"] or found.get("damaged"):
        return "update"
    if found.get("state") == POWER_OF_STATE[record["state"]]:
        return "none"
    return "start" if record["state"] == "active" else "stop"


def leftovers(hosts):
    """Return by uuid the host that has something of an instance without a domain."""
    return {uuid: host["name"] for host in hosts for uuid in (host.get("extra") or {}).get("leftovers") or []}
