# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server groups: who is in them, and what their policy says of one more on a host. Private to this collection.

It is Nova's late affinity check, made where it cannot be too late: inside the transaction that claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._model.claim import Group
from .._model.errors import ItemError
from .sql import fetch, sa

if sa is not None:
    from .schema import GROUP_MEMBERS, INSTANCES

Key = "tuple[str, str]"


def members(connection: Any, keys: Iterable[Key]) -> dict[Key, dict[str, str]]:
    """Return the members of these groups, each (project, name), as instance uuid -> host."""
    wanted = set(keys)
    query = sa.select(GROUP_MEMBERS.c.project, GROUP_MEMBERS.c.name, INSTANCES.c.uuid, INSTANCES.c.host).join_from(
        GROUP_MEMBERS, INSTANCES, GROUP_MEMBERS.c.instance == INSTANCES.c.uuid
    )
    found: dict[Key, dict[str, str]] = {key: {} for key in wanted}
    for project, name, uuid, host in fetch(connection, query, GROUP_MEMBERS.c.name, {name for dummy, name in wanted}):
        if (project, name) in found:
            found[(project, name)][uuid] = host
    return found


def check(group: Group, others: Mapping[str, str], host: str) -> None:
    """Raise ItemError if the policy forbids one more member on the host, the others being where they are."""
    if group.policy == "anti-affinity":
        here = sum(1 for at in others.values() if at == host)
        if here >= group.max_server_per_host:
            raise ItemError(
                f"{host} has {here} of server group {group.name} and anti-affinity allows {group.max_server_per_host} "
                "there: choose another host"
            )
    if group.policy == "affinity" and any(at != host for at in others.values()):
        elsewhere = min(at for at in others.values() if at != host)
        raise ItemError(f"server group {group.name} is on {elsewhere} and affinity keeps it together: choose that host")
