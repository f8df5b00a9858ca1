# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logical volumes of ours that may belong to nothing, for the audit and the sweep. Private to this collection.

A finished volume that thin disks are snapshots of is a cache and no trace.
"""

from __future__ import annotations

import time

from .._files import instance_lock, locked, plainly
from .._model.errors import ItemError
from .._model.trace import Place, Trace
from . import group, named
from .group import Row


def find_volumes(place: Place) -> list[Trace]:
    """Return the volumes of ours in every group that is looked into; a group that is not on this host has none."""
    groups = {str(one["volume_group"]) for one in place.stores if one["backend"] == "lvm"}
    return traces(group.rows(groups), time.time()) if groups else []


def traces(rows: list[Row], now: float) -> list[Trace]:
    """Return what is to be said of rows of LVM."""
    names: dict[str, set[str]] = {}
    for one in rows:
        names.setdefault(one.group, set()).add(one.name)
    found = []
    for row in rows:
        told = named.read(row.name)
        if told is None or (told.image and not told.half):
            continue
        label = f"{row.group}/{row.name}"
        owner, within = told.whose(row.name, names[row.group])
        age = None if row.made is None else max(0, int(now - row.made))
        evidence = f"logical volume {label} {told.what}{', and it is open' if row.open else ''}"
        removable = not row.open and told.removable
        ages = {"age": age, "old": age, "removable": removable, "volume": told.volume}
        found.append(
            Trace("logical_volume", label, evidence, f"{told.back}lvremove {label}", owner=owner, within=within, **ages)
        )
    return found


def remove_volume(place: Place, trace: Trace) -> None:
    """The volume is gone, unless somebody has it open."""
    there, _slash, name = trace.name.partition("/")
    lock = instance_lock(place.run_dir, trace.owner or trace.within or trace.volume or "images")
    with plainly(f"{trace.name} could not be removed"), locked(lock):
        row = next((one for one in group.rows({there}) if one.name == name), None)
        if row is not None and row.open:
            raise ItemError(f"{trace.name} is open: nothing was removed")
        if row is not None:
            group.discard(trace.name)
