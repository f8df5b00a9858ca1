# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the user wrote to instance records, or to everything that is wrong with it. Private to this collection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ...module_utils._model import naming
from ...module_utils._model.schema import VARIABLES
from . import catalogue, entry, security
from .problems import Path, Problem, quoted
from .validate import plain, validate

Record = dict[str, Any]
CATALOGUES = [name for name in VARIABLES if name != "virtfleet_instances"]


@dataclass(frozen=True)
class World:
    """What instances may name: every name, and the entries that have nothing wrong with them, by variable.

    A variable that is no mapping at all has no names here, and nothing can be said about those who use it.
    """

    names: dict[str, set[str]]
    sound: dict[str, dict[str, Any]]

    def find(self, path: Path, name: str, variable: str, problems: list[Problem]) -> Any:
        """Return the entry; None with a problem added if there is none, and without if it is known to be wrong."""
        if variable in self.names and name not in self.names[variable]:
            problems.append(security.not_there(path, name, variable, dict.fromkeys(sorted(self.names[variable]))))
        return self.sound[variable].get(name)


def request(variables: dict[str, Any], existing: Iterable[Record] = ()) -> tuple[list[Record], list[Problem]]:
    """Return the records of all instances asked for, in order, and all problems; with one the records mean nothing.

    `variables` are the user's, by full name. `existing` are records known from hosts: they count against quotas.
    """
    given = {
        name: one["default"] if variables.get(name) is None else variables[name] for name, one in VARIABLES.items()
    }
    problems = validate(given)
    spec = plain(given)
    world = world_of(spec, problems)
    problems += catalogue.check(world.sound, spec["virtfleet_security_groups"], world.names["virtfleet_projects"])
    world = world_of(spec, problems)
    records: list[Record] = []
    places: list[Path] = []
    for path, one, whole in entries(spec["virtfleet_instances"], list(problems)):
        made, wrong = (entry.resolve if whole else entry.look_up)(one, path, world)
        problems += wrong
        records += made
        places += [path] * len(made)
    problems += [*twice(records, places), *quotas(records, existing, world)]
    return records, in_order(problems)


def world_of(spec: dict[str, Any], problems: list[Problem]) -> World:
    """Return what instances may name."""
    broken = {problem.path[:2] for problem in problems}
    usable = {name: spec[name] for name in CATALOGUES if isinstance(spec[name], dict) and (name,) not in broken}
    usable.setdefault("virtfleet_projects", {})
    usable["virtfleet_projects"] = {naming.DEFAULT_PROJECT: {}} | usable["virtfleet_projects"]
    if "virtfleet_security_groups" in usable:
        usable["virtfleet_security_groups"] = {security.DEFAULT: security.BUILT_IN} | usable[
            "virtfleet_security_groups"
        ]
    sound = {
        name: {key: one for key, one in usable.get(name, {}).items() if (name, key) not in broken}
        for name in CATALOGUES
    }
    return World(names={name: set(entries) for name, entries in usable.items()}, sound=sound)


def entries(instances: Any, problems: list[Problem]) -> Iterator[tuple[Path, dict[str, Any], bool]]:
    """Yield the entries with their places, without the keys that do not fit the schema, and whether all of it fits."""
    for index, one in enumerate(instances if isinstance(instances, list) else []):
        path = ("virtfleet_instances", index)
        wrong = [problem.path for problem in problems if problem.path[:2] == path]
        if isinstance(one, dict):
            yield path, {key: one[key] for key in one if key not in {step[2] for step in wrong if step[2:]}}, not wrong


def twice(records: list[Record], places: list[Path]) -> Iterator[Problem]:
    """Yield every name, libvirt name, MAC and fixed address that two instances would share."""
    seen: dict[tuple, tuple[Record, Path]] = {}
    for one, path in zip(records, places):
        first = seen.setdefault(("uuid", one["uuid"]), (one, path))
        if first[0] is not one:
            by = "" if first[1] == path else f" after virtfleet_instances[{first[1][1]}]"
            yield Problem(path, f"gives the name {quoted(one['name'])} again{by}: names must differ within a project")
            continue
        for key, what, cure in shared_things(one):
            other = seen.setdefault(key, (one, path))[0]
            if other is not one:
                yield Problem(path, f"gives {quoted(one['name'])} {what} of {quoted(other['name'])}: {cure}")


def shared_things(one: Record) -> Iterator[tuple[tuple, str, str]]:
    """Yield what no other instance may have: a key to compare, the words for it, and the way out."""
    yield ("domain", one["domain"]), f"the libvirt name {quoted(one['domain'])}", "rename one of them"
    for volume in one["volumes"]:
        if volume.get("id"):
            cure = "a volume is attached to one instance"
            yield ("volume", volume["id"]), f"the volume {quoted(volume['name'])}", cure
    for port in one["ports"]:
        yield ("mac", port["mac"]), f"the MAC {port['mac']}", "rename one of them; MACs are made of names"
        if port.get("floating_ip"):
            key = ("floating_ip", catalogue.address(port["floating_ip"]))
            yield key, f"the floating address {port['floating_ip']}", "give each its own"
        if port["fixed_ip"]:
            key = ("fixed_ip", port["network"], catalogue.address(port["fixed_ip"]))
            yield key, f"the address {port['fixed_ip']}", "give each its own"


def quotas(records: list[Record], existing: Iterable[Record], world: World) -> Iterator[Problem]:
    """Yield each quota that what is asked for, with what runs beside it, would go over."""
    wanted = {one["uuid"]: one for one in existing} | {one["uuid"]: one for one in records}
    used: dict[str, dict[str, int]] = defaultdict(lambda: {"instances": 0, "cores": 0, "memory_mb": 0})
    for one in wanted.values():
        if one["state"] != "absent":
            used[one["project"]]["instances"] += 1
            used[one["project"]]["cores"] += one["flavor"]["vcpus"]
            used[one["project"]]["memory_mb"] += one["flavor"]["memory_mb"]
    for project, amounts in used.items():
        quota = world.sound["virtfleet_projects"].get(project, {}).get("quota", {})
        for key, amount in amounts.items():
            if 0 <= quota.get(key, -1) < amount:
                path = ("virtfleet_projects", project, "quota", key)
                yield Problem(path, f"is {quota[key]}, and {amount} are asked for: ask for fewer or raise it")


def in_order(problems: list[Problem]) -> list[Problem]:
    """Return the problems by variable and, in the list of instances, by place; else as they were found."""
    variables = list(VARIABLES)

    def place(problem: Problem) -> tuple[int, int]:
        index = problem.path[1] if len(problem.path) > 1 and isinstance(problem.path[1], int) else -1
        return variables.index(problem.path[0]), index

    return sorted(problems, key=place)
