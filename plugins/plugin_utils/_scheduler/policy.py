# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy: which filters run, how much each weigher counts, and the limits, under the names of Nova's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from .names import check_names, refuse, refuse_unknown

DEFAULT_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)
# Nova's defaults, and ours for the one weigher that is not Nova's.
DEFAULT_MULTIPLIERS = MappingProxyType(
    {
        "build_failure_weight_multiplier": 1000000.0,
        "cpu_weight_multiplier": 1.0,
        "cross_cell_move_weight_multiplier": 1000000.0,
        "disk_weight_multiplier": 1.0,
        "hypervisor_version_weight_multiplier": 1.0,
        "image_props_weight_multiplier": 0.0,
        "io_ops_weight_multiplier": -1.0,
        "metrics_weight_multiplier": 1.0,
        "num_instances_weight_multiplier": 0.0,
        "pci_weight_multiplier": 1.0,
        "ram_weight_multiplier": 1.0,
        "soft_affinity_weight_multiplier": 1.0,
        "soft_anti_affinity_weight_multiplier": 1.0,
        "spread_weight_multiplier": 100.0,
    }
)
# A named policy is a set of multipliers and nothing else.
NAMED = MappingProxyType(
    {
        "nova": {},
        "spread": {"num_instances_weight_multiplier": -10.0, "hypervisor_version_weight_multiplier": 0.0},
        "pack": {
            "ram_weight_multiplier": -1.0,
            "cpu_weight_multiplier": -1.0,
            "disk_weight_multiplier": -1.0,
            "hypervisor_version_weight_multiplier": 0.0,
            "io_ops_weight_multiplier": 0.0,
        },
    }
)


@dataclass(frozen=True)
class Policy:
    """The resolved policy; every field but the last three is named like the option of Nova that it stands for."""

    name: str = "nova"
    filters: tuple[str, ...] = DEFAULT_FILTERS
    multipliers: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MULTIPLIERS)
    max_attempts: int = 3
    max_io_ops_per_host: int = 8
    max_instances_per_host: int = 50
    image_properties_default_architecture: str | None = None
    isolated_images: tuple[str, ...] = ()
    isolated_hosts: tuple[str, ...] = ()
    restrict_isolated_hosts_to_isolated_images: bool = True
    aggregate_image_properties_isolation_namespace: str | None = None
    aggregate_image_properties_isolation_separator: str = "."
    weight_setting: Mapping[str, float] = field(default_factory=dict)
    metrics_required: bool = True
    weight_of_unavailable: float = -10000.0
    image_props_weight_setting: Mapping[str, float] = field(default_factory=dict)
    packing_host_numa_cells_allocation_strategy: bool = False
    disable_fallback_pcpu_query: bool = False
    limit_tenants_to_placement_aggregate: bool = False
    placement_aggregate_required_for_tenants: bool = False
    enable_isolated_aggregate_filtering: bool = False
    query_placement_for_image_type_support: bool = False
    image_metadata_prefilter: bool = False
    aliases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    n_plus_one: bool = False
    unknown_availability_zone: str = "ignore"
    rules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rules_directory: str | None = None
    flavors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_OPTIONS = {option.name: option for option in fields(Policy)}


def resolve(given: Mapping[str, Any] | str | None) -> Policy:
    """Return the policy that a name or a dict describes; an unknown option, name or multiplier is refused."""
    given = {"name": given} if isinstance(given, str) else dict(given or {})
    name = given.get("name") or "nova"
    if name not in NAMED:
        refuse_unknown("policy", name, NAMED)
    overrides = {**(given.pop("weighers", None) or {}), **(given.pop("multipliers", None) or {})}
    check_names("policy option", given, _OPTIONS)
    options = {key: _cast(key, value) for key, value in given.items() if value is not None}
    rules = options.get("rules", {})
    check_names("kind of rule", rules, ("filters", "weighers"))
    options["multipliers"] = _multipliers(NAMED[name], overrides)
    return Policy(**options)


def _multipliers(named: Mapping[str, float], overrides: Mapping[str, Any]) -> dict[str, float]:
    """Return every multiplier; those of the user's own weighers are named after their rule."""
    merged = {**DEFAULT_MULTIPLIERS, **named}
    for key, value in overrides.items():
        if not str(key).endswith("_weight_multiplier"):
            refuse_unknown("multiplier", key, DEFAULT_MULTIPLIERS)
        merged[key] = _number(key, value)
    return merged


def check_multipliers(policy: Policy, own_weighers: Mapping[str, Any]) -> None:
    """Refuse a multiplier that belongs to no weigher, neither ours nor the user's."""
    own = {f"{name}_weight_multiplier" for name in own_weighers}
    check_names("multiplier", policy.multipliers, {*DEFAULT_MULTIPLIERS, *own})


def _cast(key: str, value: Any) -> Any:
    """Return an option's value in the type that the policy holds."""
    if key in ("weight_setting", "image_props_weight_setting"):
        return _setting(key, value)
    kind = str(_OPTIONS[key].type)
    if kind.startswith("tuple"):
        return (value,) if isinstance(value, str) else tuple(value)
    if kind.startswith("Mapping"):
        if not isinstance(value, Mapping):
            refuse(f"policy option {key} must be a dictionary, not {value!r}")
        return value
    if kind == "int":
        return int(_number(key, value))
    if kind == "float":
        return _number(key, value)
    return value


def _setting(key: str, value: Any) -> dict[str, float]:
    """Return Nova's list of 'name=ratio' words, or a dict, as a dict of ratios."""
    if isinstance(value, Mapping):
        return {str(name): _number(key, ratio) for name, ratio in value.items()}
    words = value.split(",") if isinstance(value, str) else value
    pairs = (str(word).partition("=") for word in words)
    return {name.strip(): _number(key, ratio) for name, _sign, ratio in pairs}


def _number(key: str, value: Any) -> float:
    """Return the value as a number or refuse it by name."""
    try:
        return float(value)
    except (TypeError, ValueError):
        refuse(f"policy option {key} must be a number, not {value!r}")
