# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes of groups of LVM, as its commands tell of them and take them away. Private to this collection."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from . import tools

NOT_FOUND = "Failed to find logical volume"
TIME = "%Y-%m-%d %H:%M:%S %z"
ENVIRONMENT = {"LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LVM_SUPPRESS_FD_WARNINGS": "1"}


@dataclass(frozen=True)
class Row:
    """A logical volume as LVM tells it; `made` is None where LVM does not know."""

    group: str
    name: str
    open: bool
    made: float | None


def rows(groups: Iterable[str]) -> list[Row]:
    """Return the volumes of these groups; of one that is not on this host there are none."""
    words = ["lvs", "--reportformat", "json", "--config", f'report/time_format="{TIME}"']
    told = run([*words, "-o", "vg_name,lv_name,lv_attr,lv_time"], "lvs")
    return parsed(told, set(groups))


def parsed(told: str, groups: set[str]) -> list[Row]:
    """Return the rows of these groups in what LVM told of all."""
    listed = [one for report in json.loads(told or "{}").get("report") or () for one in report.get("lv") or ()]
    return [
        Row(one["vg_name"], one["lv_name"], one["lv_attr"][5:6] == "o", _when(one.get("lv_time") or ""))
        for one in listed
        if one["vg_name"] in groups
    ]


def _when(stamp: str) -> float | None:
    try:
        return datetime.strptime(stamp, TIME).timestamp()
    except ValueError:
        return None


def discard(name: str) -> None:
    """A volume is gone, by its group and name; one that is open is refused by LVM."""
    run(["lvremove", "-f", "-y", name], f"lvremove {name}")


def run(command: Sequence[str], what: str, missing: bool = False) -> str:
    """Return what a command of LVM printed; empty for a volume that is missing where that is no error."""
    hint = f"{command[0]} is not installed on this host: install lvm2 and util-linux"
    done = tools.run(command, hint, env={**os.environ, **ENVIRONMENT})
    if missing and done.returncode and NOT_FOUND in done.stderr:
        return ""
    return tools.checked(done, what)
