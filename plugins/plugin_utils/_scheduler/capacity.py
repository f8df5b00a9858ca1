# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement's part of a decision: named hosts, traits, aggregates, zones and room for every resource class.

The rule for each class on one provider: used + amount <= (total - reserved) * ratio, min_unit <= amount <= max_unit,
amount % step_size == 0. The order of the questions is that in which placement rules hosts out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .arrays import np
from .hosts import split_values
from .requests import Request
from .state import Rows, State
from .steps import Step, Verdict

_UNITS = {"MEMORY_MB": "MiB of promises", "DISK_GB": "GiB of disk", "VCPU": "vCPUs", "PCPU": "dedicated CPUs"}


def placement_steps(state: State, request: Request) -> Iterator[Step]:
    """Yield what placement would ask of every host for this request."""
    yield from _named_hosts(state, request)
    yield from _traits(state, request)
    yield from _aggregates(state, request)
    for resource_class, amount in request.resources.items():
        unit = _UNITS.get(resource_class, resource_class)
        if resource_class == "PCPU" and request.unpinned_resources is not None:
            yield _dedicated_step(state, request)
            continue
        for rule, check in _RULES.items():
            yield Step(
                f"{resource_class} {rule}",
                lambda rows, check=check, name=resource_class, amount=amount: check(state, name, amount, rows),
                _SAYS[rule].replace("UNIT", unit),
                "row" if rule == "capacity" else "never",
            )
    if request.ignore_hosts:
        yield _by_name(state, "ignored hosts", lambda name: name not in request.ignore_hosts, "the request ignores it")


def _named_hosts(state: State, request: Request) -> Iterator[Step]:
    """Yield the question for the hosts that the request names."""
    if request.requested_host or request.force_hosts:
        wanted = request.force_hosts or {request.requested_host.lower()}
        listed = ", ".join(sorted(wanted))
        yield _by_name(state, "requested host", lambda name: name in wanted, f"the request names {listed}")


def _by_name(state: State, name: str, wanted: Callable[[str], bool], says: str) -> Step:
    """Return a step that asks for the host's name."""
    mask = np.array([wanted(host.lower()) for host in state.fleet.names], dtype=bool)
    return Step(name, lambda rows: (mask[rows], None, None), says)


def _traits(state: State, request: Request) -> Iterator[Step]:
    """Yield the questions for required and forbidden traits."""
    for trait in sorted(request.required_traits):
        has = state.fleet.has_trait(trait)
        yield Step(f"trait {trait}", lambda rows, has=has: (has[rows], None, None), f"lacks the trait {trait}")
    for trait in sorted(request.forbidden_traits):
        lacks = ~state.fleet.has_trait(trait)
        yield Step(f"not trait {trait}", lambda rows, lacks=lacks: (lacks[rows], None, None), f"has the trait {trait}")
    enabled = state.fleet.flags("enabled")
    yield Step("enabled", lambda rows: (enabled[rows], state.fleet.trouble, None), "is {value}")


def _aggregates(state: State, request: Request) -> Iterator[Step]:
    """Yield the questions for the availability zone and for aggregates that belong to projects or traits."""
    fleet, policy = state.fleet, state.policy
    zone = request.availability_zone
    if zone and zone in fleet.zones:
        inside = np.array([own == zone for own in fleet.zones], dtype=bool)
        yield Step("availability zone", lambda rows: (inside[rows], zone, lambda row: fleet.zones[row]), _SAYS["zone"])
    if policy.limit_tenants_to_placement_aggregate:
        ours = fleet.per_aggregate_set(lambda metadata: _belongs_to(metadata, request.project_id), bool)
        if ours.any() or policy.placement_aggregate_required_for_tenants:
            says = f"is in no aggregate of project {request.project_id}"
            yield Step("project aggregates", lambda rows: (ours[rows], None, None), says)
    if policy.enable_isolated_aggregate_filtering:
        free = fleet.per_aggregate_set(lambda metadata: not _isolating(metadata, request), bool)
        says = "is in an aggregate kept for a trait that the request does not ask for"
        yield Step("isolated aggregates", lambda rows: (free[rows], None, None), says)


def _belongs_to(metadata: dict[str, set[str]], project: str | None) -> bool:
    """Return whether some aggregate of the host is set apart for the project."""
    return any(key.startswith("filter_tenant_id") and project in split_values(metadata[key]) for key in metadata)


def _isolating(metadata: dict[str, set[str]], request: Request) -> bool:
    """Return whether some aggregate of the host is kept for a trait that the request does not require."""
    return any(
        key.startswith("trait:") and "required" in values and key.partition(":")[2] not in request.required_traits
        for key, values in metadata.items()
    )


def _capacity(state: State, resource_class: str, amount: int, rows: Rows) -> Verdict:
    """Return where the amount fits beside what is taken."""
    room, used = state.inventory(resource_class).room[rows], state.used_of(resource_class)[rows]
    return used + amount <= room, amount, np.floor(room - used)


def _max_unit(state: State, resource_class: str, amount: int, rows: Rows) -> Verdict:
    """Return where one instance may take so much, however much is free."""
    most = state.inventory(resource_class).max_unit[rows]
    return amount <= most, amount, most


def _min_unit(state: State, resource_class: str, amount: int, rows: Rows) -> Verdict:
    """Return where one instance may take so little."""
    least = state.inventory(resource_class).min_unit[rows]
    return amount >= least, amount, least


def _step_size(state: State, resource_class: str, amount: int, rows: Rows) -> Verdict:
    """Return where the amount is a multiple of what is given out."""
    step = state.inventory(resource_class).step_size[rows]
    return amount % step == 0, amount, step


_RULES = {"capacity": _capacity, "max_unit": _max_unit, "min_unit": _min_unit, "step_size": _step_size}
_SAYS = {
    "capacity": "needs {value} UNIT, has {limit} (short {short})",
    "max_unit": "needs {value} UNIT in one piece, gives one instance at most {limit}",
    "min_unit": "needs {value} UNIT, gives one instance at least {limit}",
    "step_size": "needs {value} UNIT, gives multiples of {limit}",
    "zone": "is in zone {limit}, not in {value}",
}


def fits_empty(state: State, resource_class: str, amount: int) -> np.ndarray:
    """Return where the amount would fit if the host had nothing on it."""
    inventory = state.inventory(resource_class)
    return inventory.gives(amount) & (amount <= inventory.room)


def eligible(state: State, request: Request) -> np.ndarray:
    """Return which hosts are enabled and up and could take an instance of the request if they were empty."""
    mask = state.fleet.flags("up").copy()
    for step in placement_steps(state, request):
        if step.changes == "never":
            mask &= step.check(slice(None))[0]
    return mask


def _dedicated_step(state: State, request: Request) -> Step:
    """Return the question for dedicated CPUs: PCPU with the wanted kind of threads, or Nova's fallback, VCPU."""
    amount, fallback = request.resources["PCPU"], request.unpinned_resources["VCPU"]

    def check(rows: Rows) -> Verdict:
        free = np.floor(state.inventory("PCPU").room[rows] - state.used_of("PCPU")[rows])
        return state.offers_dedicated(request, rows) | state.fits("VCPU", fallback, rows), amount, free

    return Step("PCPU capacity", check, _SAYS["capacity"].replace("UNIT", _UNITS["PCPU"]), "row")
