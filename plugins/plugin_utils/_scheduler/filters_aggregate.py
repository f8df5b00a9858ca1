# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nova's filters that look at the metadata of a host's aggregates; each distinct set of metadata is asked once."""

from __future__ import annotations

from collections.abc import Callable

from .arrays import np
from .hosts import split_values
from .images import KNOWN
from .operators import matches
from .requests import Request
from .state import Rows, State
from .steps import Verdict

Metadata = dict[str, set[str]]


def _verdict(state: State, rows: Rows, misses: Callable[[Metadata], str | None]) -> Verdict:
    """Return which hosts' aggregates miss nothing, and what the others miss."""
    missing = state.fleet.per_aggregate_set(misses)
    return np.equal(missing, None)[rows], lambda row: missing[row], None


def extra_specs(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose aggregates have a matching value for every plain or scoped extra spec."""
    wanted = {}
    for key, value in request.extra_specs.items():
        scope, _colon, rest = key.partition(":")
        if ":" not in key or scope == "aggregate_instance_extra_specs":
            wanted[rest or key] = value

    def misses(metadata: Metadata) -> str | None:
        for key, value in wanted.items():
            if not any(matches(have, value) for have in split_values(metadata.get(key, ()))):
                return f"{key}={value}"
        return None

    return _verdict(state, rows, misses)


def image_isolation(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes unless one of its aggregates asks for another value of a property that the image has."""
    policy, image = state.policy, request.image_properties
    namespace = policy.aggregate_image_properties_isolation_namespace
    prefix = f"{namespace}{policy.aggregate_image_properties_isolation_separator}" if namespace else ""

    def misses(metadata: Metadata) -> str | None:
        for key, values in metadata.items():
            known = key.startswith(prefix) and key in KNOWN and image.get(key)
            if known and str(image[key]) not in split_values(values):
                return f"{key}={','.join(sorted(values))}"
        return None

    return _verdict(state, rows, misses)


def multi_tenancy(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose aggregates are for no project in particular, or also for the request's."""

    def owners(metadata: Metadata) -> set[str]:
        return {
            project
            for key, values in metadata.items()
            if key.startswith("filter_tenant_id")
            for project in split_values(values)
        }

    return _for_whom(state, rows, owners, request.project_id)


def type_affinity(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose aggregates are for no flavor in particular, or also for the request's."""
    return _for_whom(state, rows, lambda metadata: split_values(metadata.get("instance_type", ())), request.flavor_name)


def _for_whom(state: State, rows: Rows, owners: Callable[[Metadata], set[str]], who: str | None) -> Verdict:
    """Return which hosts are set apart for nobody, or for the one who asks."""
    kept_for = state.fleet.per_aggregate_set(lambda metadata: sorted(owners(metadata)) or None)
    mask = np.array([not kept or who in kept for kept in kept_for[rows]], dtype=bool)
    return mask, who, lambda row: ", ".join(kept_for[row] or ())


def num_instances(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that has fewer instances than its aggregates allow, else than the policy allows."""
    limit = _least(state, "max_instances_per_host", state.policy.max_instances_per_host)[rows]
    return state.num_instances[rows] < limit, state.num_instances[rows], limit


def io_ops(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that does less heavy disk work at once than its aggregates allow, else than the policy allows."""
    limit = _least(state, "max_io_ops_per_host", state.policy.max_io_ops_per_host)[rows]
    return state.num_io_ops[rows] < limit, state.num_io_ops[rows], limit


def _least(state: State, key: str, default: int) -> np.ndarray:
    """Return the smallest whole number that a host's aggregates give for a key; the default if one is no number."""
    return state.fleet.once(
        ("least", key, default),
        lambda: state.fleet.per_aggregate_set(lambda metadata: least(metadata.get(key), int, default), np.float64),
    )


def least(values: set[str] | None, cast: Callable[[str], float], default: float) -> float:
    """Return the smallest of the values as a number; the default when there is none or one cannot be read."""
    try:
        return min(cast(value) for value in values) if values else default
    except ValueError:
        return default
