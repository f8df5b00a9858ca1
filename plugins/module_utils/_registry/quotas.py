# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of everything a project may have: Nova's quotas. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._model.errors import ItemError
from .sql import fetch, sa

if sa is not None:
    from .schema import ALLOCATIONS, INSTANCES

# Nova's defaults, for what a project does not say; -1 is no limit.
DEFAULTS = {"instances": 10, "cores": 20, "memory_mb": 51200}
COUNTED = {"VCPU": "cores", "PCPU": "cores", "MEMORY_MB": "memory_mb"}
NOTHING = {"instances": 0, "cores": 0, "memory_mb": 0}


def usage(connection: Any, projects: Iterable[str] | None = None) -> dict[str, dict[str, int]]:
    """Return what these projects, or all, use of each quota."""
    count = sa.func.count()
    instances = sa.select(INSTANCES.c.project, count.label("count")).group_by(INSTANCES.c.project)
    amounts = (
        sa.select(INSTANCES.c.project, ALLOCATIONS.c.resource_class, sa.func.sum(ALLOCATIONS.c.amount).label("amount"))
        .join_from(ALLOCATIONS, INSTANCES, ALLOCATIONS.c.instance == INSTANCES.c.uuid)
        .where(ALLOCATIONS.c.resource_class.in_(list(COUNTED)))
        .group_by(INSTANCES.c.project, ALLOCATIONS.c.resource_class)
    )
    if projects is None:
        counted, summed = connection.execute(instances).all(), connection.execute(amounts).all()
    else:
        projects = set(projects)
        counted = fetch(connection, instances, INSTANCES.c.project, projects)
        summed = fetch(connection, amounts, INSTANCES.c.project, projects)
    found = {row[0]: {**NOTHING, "instances": row[1]} for row in counted}
    for project, resource_class, amount in summed:
        found[project][COUNTED[resource_class]] += int(amount)
    return found


def demand(resources: Mapping[str, int]) -> dict[str, int]:
    """Return what one instance with these resources counts for."""
    counts = {**NOTHING, "instances": 1}
    for resource_class, amount in resources.items():
        if resource_class in COUNTED:
            counts[COUNTED[resource_class]] += amount
    return counts


def check(project: str, limits: Mapping[str, Any], used: Mapping[str, int], more: Mapping[str, int]) -> None:
    """Raise ItemError if the project has no room for so much more; what does not grow is never refused."""
    for name, default in DEFAULTS.items():
        limit = int(default if limits.get(name) is None else limits[name])
        if limit >= 0 and more[name] > 0 and used[name] + more[name] > limit:
            raise ItemError(
                f"the quota of project {project} is used up: {name} needs {more[name]}, {max(0, limit - used[name])} "
                f"of {limit} is free: raise virtfleet_projects.{project}.quota.{name} or delete instances",
                fault="request",
            )
