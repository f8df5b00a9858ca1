# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an audit looks for disks that are no files, and whose it leaves out. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..module_utils._model.host import unpacked

# By backend what finds a pool or group; those that all hosts see are looked into by one of them.
FOUND_BY = {"rbd": ("pool", "user", "conf"), "lvm": ("volume_group",)}
SHARED = ("rbd",)
Store = dict[str, Any]


def stores_of(types: Mapping[str, Any], host: str) -> list[Store]:
    """Return the pools and groups that the volume types of a host name; `look` says whether they are for it to see."""
    before: list[Store] = []
    for name, kinds in types.items():
        own = _stores(kinds)
        if name == host:
            return [{**one, "look": one["backend"] not in SHARED or one not in before} for one in own]
        before += own
    return []


def _stores(kinds: Mapping[str, Any] | None) -> list[Store]:
    found: list[Store] = []
    for kind in (kinds or {}).values():
        keys = FOUND_BY.get(kind.get("backend") or "", ())
        store = {"backend": kind.get("backend"), **{key: kind[key] for key in keys if kind.get(key)}}
        if keys and store not in found:
            found.append(store)
    return found


def known_disks(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of all instances that hosts have, and of their volumes."""
    found = set()
    for one in (one for host in hosts for one in unpacked(host) if one.get("ours")):
        found.add(one["uuid"])
        found |= volumes_of(one)
    return sorted(found)


def volumes_of(instance: Mapping[str, Any]) -> set[str]:
    """Return the ids of the volumes with a life of their own that an instance of a host record has."""
    return {disk["id"] for disk in (instance.get("record") or {}).get("volumes") or () if disk.get("id")}
