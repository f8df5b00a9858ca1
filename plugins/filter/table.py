# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances as people like to see them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: table
short_description: Instance records as a table
description:
  - Name, state, host, addresses, image, flavor and age of each instance, in columns as wide as what is in them.
  - A failed instance has its reason in a line below its own, another what its guest takes at the next boot only. Each
    host that an instance was tried with in vain has a line with its reason too.
options:
  _input:
    description: Instance records.
    type: list
    elements: dict
    required: true
  now:
    description: The time to count ages to, as C(YYYY-MM-DD HH:MM:SS) in UTC. Default is the time it is.
    type: str
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Show what is there
  ansible.builtin.debug:
    msg: "{{ instances | virtfleet.compute.table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table, the headings first.
  type: list
  elements: str
"""

import datetime
import unicodedata

COLUMNS = ("NAME", "STATE", "HOST", "ADDRESSES", "IMAGE", "FLAVOR", "AGE")
USUAL = {"active": "running", "stopped": "shutdown"}
ZERO_WIDTH = ("Mn", "Me", "Cf")
WIDE = ("W", "F")


def table(records, now=None):
    """Return the lines of the table."""
    moment = as_time(now) or datetime.datetime.now(datetime.timezone.utc)
    rows = [COLUMNS] + [row(one, moment) for one in records]
    widths = [max(width(one[column]) for one in rows) for column in range(len(COLUMNS))]
    lines = [line(rows[0], widths)]
    for one, cells in zip(records, rows[1:]):
        lines.append(line(cells, widths))
        lines += [f"  {text}" for text in remarks(one)]
    return lines


def remarks(record):
    """Return with which hosts an instance was tried in vain, why it failed, or what waits for its next boot."""
    tried = [f"not on {one['host']}: {one['msg']}" for one in record.get("tried") or ()]
    if record.get("failed"):
        return [*tried, *reasons(record)]
    return [*tried, *(record.get("pending_changes") or [])]


def reasons(record):
    """Return why an instance failed, after how many hosts."""
    text = str(record.get("msg") or "no reason was given")
    if not record.get("tried"):
        return text.splitlines()
    if record.get("host"):
        text = f"not on {record['host']}: {text}; tried with {len(record['tried']) + 1} hosts"
    else:
        text = f"{text}; tried with {len(record['tried'])} hosts"
    return text.replace("tried with 1 hosts", "tried with one host").splitlines()


def row(record, now):
    """Return the cells of one instance."""
    return (
        record["name"] if record.get("project", "default") == "default" else f"{record['project']}/{record['name']}",
        state(record),
        record.get("host") or "-",
        ", ".join(address["address"] for port in record.get("ports") or [] for address in port.get("addresses") or [])
        or "-",
        (record.get("image") or {}).get("name") or "-",
        (record.get("flavor") or {}).get("name") or "-",
        age(record.get("created_at"), now),
    )


def state(record):
    """Return the state, and what libvirt says where that is something else."""
    if record.get("failed"):
        return "failed"
    wanted = record.get("state") or "-"
    power = str(record.get("power_state") or "").lower()
    return f"{wanted} ({power})" if power and power != USUAL.get(wanted, power) else wanted


def as_time(text):
    """Return the moment, or nothing if there is none."""
    try:
        return datetime.datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None


def age(created_at, now):
    """Return the age in its largest unit."""
    born = as_time(created_at)
    if born is None:
        return "-"
    seconds = max(0, int((now - born).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def width(text):
    """Return how many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.category(one) in ZERO_WIDTH else 2 if unicodedata.east_asian_width(one) in WIDE else 1
        for one in text
    )


def line(cells, widths):
    """Return the cells side by side, each as wide as its column."""
    return "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(cells, widths)).rstrip()


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Return the filter by its name."""
        return {"table": table}
