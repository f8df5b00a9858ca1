# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another try on another host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_alternate
short_description: Instance records after an attempt, those that another host may try again unfailed
description:
  - A new instance that failed by fault of its host is no longer failed and has its host among C(tried). The claim then
    goes to the first of its alternates that takes it, or it is placed again without the hosts it was tried on.
  - It must have been undone on its host. Where that could not be, for the host or its libvirt does not answer, it is
    tried elsewhere only if it had not come to stage domain there, for then it cannot run there; what a run that is gone
    had left there may have. Else it stays failed and says so.
  - As in Nova a fault of the request is not tried again.
  - One that waits for an address which another instance gives up (C(waits)) has its turn next if that instance was
    changed, and fails if it was not; in a plan there is nothing to wait for.
  - All others have nothing left to do.
options:
  _input:
    description: Instance records of the whole run, with what the hosts did.
    type: list
    elements: dict
    required: true
  max_attempts:
    description: With how many hosts an instance is tried in all.
    type: int
    default: 3
  planned:
    description: Whether this is a plan, in which those that wait were planned with the others.
    type: bool
    default: false
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Try the failed ones on other hosts
  ansible.builtin.set_fact:
    instances: "{{ instances | virtfleet.compute.to_alternate(max_attempts=3) }}"
"""

RETURN = r"""
_value:
  description:
    - The records, same length and order. C(attempts) says with how many hosts an instance was tried, C(tried) with
      which before the last, each with C(host), C(msg), the stage, C(failed_in), if it is known, and C(undone).
  type: list
  elements: dict
"""

FORGOTTEN = {"msg", "fault", "undone", "failed_in", "refusals", "config_drive_path", "power_state", "domain_id", "vnc"}
# An instance that a host failed in one of these has no domain there: stage domain was never sent.
WITHOUT_DOMAIN = ("images", "volumes", "config_drives", "ports")
MAY_RUN = "{msg}; it may run there, so it is not tried on another host"
MEND = MAY_RUN + ": mend that host and run again"
STAYS = "its floating_ip is still that of {name}, which could not be changed: {msg}"
LONG = "its floating_ip would go through more hands than one run has attempts: run again"
TURNS = 2  # boot.yml has three attempts
LEFT = "{msg}; it had not come to its domain there, so it cannot run there: what is left of its disks and ports stays"


def to_alternate(records, max_attempts=3, planned=False):
    """Return the records, those that another host may try again unfailed, all others with nothing left to do."""
    failed = {one.get("uuid"): one for one in records if one.get("failed")}
    return [
        after_waiting(one, [failed[uuid] for uuid in one["waits"] if uuid in failed])
        if one.get("waits") and not one.get("failed") and not planned
        else after_attempt(one, int(max_attempts))
        for one in records
    ]


def after_waiting(record, failed):
    """Return one record that waited for others to give up an address, of which these failed."""
    turns = record.get("turns", 0) + 1
    if not failed and turns <= TURNS:
        return {**record, "turns": turns}
    reason = STAYS.format(name=failed[0]["name"], msg=failed[0].get("msg") or "no reason given") if failed else LONG
    return {**record, "failed": True, "fault": "request", "msg": reason, "todo": "none", "waits": []}


def after_attempt(record, max_attempts):
    """Return one record after an attempt."""
    if record.get("todo") != "create" or not is_fault_of_host(record):
        return {**record, "todo": idle(record)}
    if record.get("undone") is not True:
        if record.get("failed_in") not in WITHOUT_DOMAIN or record.get("adopted"):
            reason = MAY_RUN if record.get("lost") else MEND
            return {**record, "todo": "none", "msg": reason.format(msg=record["msg"])}
        record = {**record, "msg": LEFT.format(msg=record["msg"])}
    if record.get("attempts", 1) >= max_attempts:
        return {**record, "todo": "none"}
    return untried(record)


def idle(record):
    """Return the word for nothing left to do."""
    return "wait" if record.get("todo") == "wait" else "none"


def is_fault_of_host(record):
    """Tell whether another host may succeed with a new instance that has a claim of this run."""
    is_new = not record.get("existing") and record.get("claim_state") == "claimed"
    return bool(is_new and record.get("failed") and record.get("fault", "host") == "host")


def untried(record):
    """Return the record without what the host had told about it, and with what went wrong there."""
    told = {key: record[key] for key in ("host", "msg", "failed_in", "undone") if record.get(key) is not None}
    tried = [*record.get("tried", []), told]
    scheduling = dict(record.get("scheduling") or {})
    scheduling["ignore_hosts"] = sorted({*(scheduling.get("ignore_hosts") or ()), *(one["host"] for one in tried)})
    left = {key: value for key, value in record.items() if key not in FORGOTTEN and key != "lost"}
    left["volumes"] = [movable(one, record) for one in record.get("volumes") or []]
    again = {"failed": False, "tried": tried, "attempts": record.get("attempts", 1) + 1}
    return {**left, **again, "scheduling": scheduling}


def movable(volume, record):
    """Return a volume as another host is to make it; one that the guest was started with stays where it is."""
    return {key: value for key, value in volume.items() if key != "made"} if record.get("domain_id") else volume


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"to_alternate": to_alternate}
