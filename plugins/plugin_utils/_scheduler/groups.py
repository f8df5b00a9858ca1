# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that belong together: server groups, and even spreading over a failure domain."""

from __future__ import annotations

from collections.abc import Callable

from .arrays import np
from .capacity import eligible
from .policy import Policy
from .requests import Request
from .state import Rows, State
from .steps import Verdict


def has_policy(policy: str) -> Callable[[Policy, Request], bool]:
    """Return the question whether a request's server group has this policy."""
    return lambda _options, request: bool(request.group and request.group.policy == policy)


def anti_affinity(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that has fewer members of the group than one host may have, or has this very instance (a move)."""
    counts, limit = state.group_count(request.group), request.group.max_server_per_host
    mask = counts[rows] < limit
    own = state.host_of(request.instance_uuids[0]) if len(request.instance_uuids) == 1 else None
    if own is not None:
        mask = mask | (np.arange(counts.size)[rows] == own)
    return mask, lambda row: _who_runs_there(state, request, row), limit


def _who_runs_there(state: State, request: Request, row: int) -> str:
    """Return the members of the group on a host, by name where it is known, in words."""
    members = state.members[request.group.name]
    names = {one.get("uuid", one.get("name")): one.get("name") for one in state.instances(row)}
    there = sorted(names.get(uuid) or uuid for uuid, host in members.items() if host == row)
    most = request.group.max_server_per_host
    allows = f", at most {most} on a host" if most > 1 else ""
    return f"{', '.join(there)} {'runs' if len(there) == 1 else 'run'} there (group {request.group.name}{allows})"


def affinity(state: State, request: Request, rows: Rows) -> Verdict:
    """Every host passes while the group runs nowhere; afterwards those that it runs on."""
    counts = state.group_count(request.group)
    mask = counts[rows] > 0 if counts.any() else np.ones(counts.size, dtype=bool)[rows]
    return mask, None, lambda row: ", ".join(state.fleet.names[host] for host in np.flatnonzero(counts).tolist())


def soft_affinity(state: State, request: Request, rows: Rows) -> np.ndarray:
    """Weigh a host by the members of the group on it."""
    return state.group_count(request.group)[rows]


def soft_anti_affinity(state: State, request: Request, rows: Rows) -> np.ndarray:
    """Weigh a host down by the members of the group on it."""
    return -state.group_count(request.group)[rows]


def _domains(state: State, label: str) -> tuple[list[str | None], np.ndarray]:
    """Return the values of a host label and each host's position among them; the first, None, is no label."""

    def make() -> tuple[list[str | None], np.ndarray]:
        found = [
            str(one[label]) if one and one.get(label) is not None else None for one in state.fleet.column("labels")
        ]
        values = [None, *sorted({value for value in found if value is not None})]
        positions = {value: position for position, value in enumerate(values)}
        return values, np.array([positions[value] for value in found], dtype=np.intp)

    return state.fleet.once(("domains", label), make)


def _spread_counts(state: State, request: Request) -> np.ndarray:
    """Return how many of the instances to be spread each domain has: the group's members, else the request's own."""
    values, domain = _domains(state, request.spread.by)
    counts = np.zeros(len(values))
    if request.group:
        np.add.at(counts, domain, state.group_count(request.group))
        return counts
    own = set(request.instance_uuids or request.instance_names)
    for identity in sorted(own):
        row = state.host_of(identity)
        if row is not None:
            counts[domain[row]] += 1
    return counts


def hard_spread(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose domain would not get more than max_skew ahead of the domain that has the fewest.

    The domains compared are those of hosts that could take an instance if they were empty; a host without the label
    never passes.
    """
    values, domain = _domains(state, request.spread.by)
    counts = _spread_counts(state, request)
    there = np.unique(domain[eligible(state, request) & (domain > 0)])
    fewest = counts[there].min() if there.size else 0
    mine = domain[rows]
    mask = (mine > 0) & (counts[mine] + 1 - fewest <= request.spread.max_skew)
    by = request.spread.by

    def says(row: int) -> str:
        if domain[row] == 0:
            return f"has no label {by}"
        return f"{by} {values[domain[row]]} has {int(counts[domain[row]])} of them, another {by} only {int(fewest)}"

    return mask, says, None


def soft_spread(state: State, request: Request, rows: Rows) -> np.ndarray:
    """Weigh a host down by the instances that its domain already has; a host without the label comes last."""
    _values, domain = _domains(state, request.spread.by)
    counts = _spread_counts(state, request)
    counts[0] = counts.max() + 1
    return -counts[domain[rows]]
