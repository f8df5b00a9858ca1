# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in the security groups that hosts filter by, as the claims have it. Private to this collection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .._model import membership
from .sql import sa

if sa is not None:
    from .schema import ACTIONS, INSTANCES

Record = Mapping[str, Any]


def told(
    connection: Any, records: Iterable[Record], known: Mapping[str, Mapping[str, str]], leaving: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return by host what it is to be told: the groups that its rules name and whose members it does not know.

    Args:
        connection: in a transaction. What is read in it has a serial that grows with every claim and release.
        records: instance records that are about to be plugged, with `host`.
        known: by host the digests of the members that it knows, by group.
        leaving: uuids of instances that are about to go: they are no members any more.
    """
    wanted = {host: set(groups) for host, groups in known.items()}
    for one in records:
        if one.get("host") and not one.get("failed"):
            found = membership.keys(one.get("ports") or (), one.get("project") or "default")
            wanted.setdefault(one["host"], set()).update(found)
    if not any(wanted.values()):
        return {}
    groups = membership.members(set().union(*wanted.values()), _ports(connection, leaving))
    digests = {key: membership.digest(addresses) for key, addresses in groups.items()}
    serial = connection.execute(sa.select(sa.func.max(ACTIONS.c.id))).scalar() or 0
    news = {
        host: [key for key in keys if known.get(host, {}).get(key) != digests[key]] for host, keys in wanted.items()
    }
    return {
        host: {"serial": serial, "groups": {key: groups[key] for key in sorted(keys)}}
        for host, keys in sorted(news.items())
        if keys
    }


def _ports(connection: Any, leaving: Collection[str]) -> Iterable[tuple[str, Record]]:
    """Yield the project and each port of every instance, as it is or shall be."""
    rows = connection.execute(sa.select(INSTANCES.c.uuid, INSTANCES.c.project, INSTANCES.c.record, INSTANCES.c.pending))
    for uuid, project, record, pending in rows:
        if uuid not in leaving:
            for port in (pending or record).get("ports") or ():
                yield project, port
