# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as the scheduler sees it: checked once, with the resources and traits that it asks of one host."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .guests import Guest, encrypts_memory, guest_topology
from .images import canonical_properties
from .names import check_names, refuse, refuse_unknown
from .pci import DeviceRequest, device_requests
from .policy import Policy
from .traits import wanted_traits

_GROUP_FIELDS = ("name", "uuid", "policy", "members", "rules", "max_server_per_host")
GROUP_POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
_WORDS = """
    name vcpus memory_mb disk_gb ephemeral_gb swap_mb flavor_name num_instances min_count instance_names
    instance_uuids project_id extra_specs image_properties image_id image_disk_format hints server_group
    availability_zone boot_from_volume ignore_hosts requested_host force_hosts spread preferred_cell
    bridges
"""
FIELDS = frozenset(_WORDS.split())


@dataclass(frozen=True)
class Group:
    """A server group: its policy and how many of its members one host may have."""

    name: str
    policy: str
    members: frozenset[str]
    max_server_per_host: int


@dataclass(frozen=True)
class Spread:
    """Instances shared out evenly over the values of a host label, as a must (hard) or a wish (soft)."""

    by: str
    hard: bool
    max_skew: int


@dataclass(frozen=True)
class Bridge:
    """A bridge that the host must have, the network that is on it, and the MTU of that."""

    name: str
    network: str
    mtu: int


@dataclass(frozen=True)
class Request:
    """So many equal instances, and what each of them asks of its host. `source` is the request as it was given."""

    name: str
    flavor_name: str
    vcpus: int
    memory_mb: int
    instance_names: tuple[str, ...]
    instance_uuids: tuple[str, ...]
    min_count: int
    project_id: str | None
    extra_specs: Mapping[str, str]
    image_properties: Mapping[str, Any]
    image_id: str | None
    hints: Mapping[str, Any]
    group: Group | None
    spread: Spread | None
    availability_zone: str | None
    ignore_hosts: frozenset[str]
    requested_host: str | None
    force_hosts: frozenset[str]
    preferred_cell: str | None
    resources: Mapping[str, int]
    unpinned_resources: Mapping[str, int] | None
    required_traits: frozenset[str]
    forbidden_traits: frozenset[str]
    guest: Guest | None
    devices: tuple[DeviceRequest, ...]
    bridges: tuple[Bridge, ...]
    source: Mapping[str, Any] = field(repr=False, compare=False)


def load(given: Mapping[str, Any], policy: Policy) -> Request:
    """Return the request, checked; what has an unknown name or an impossible form is refused with the way out."""
    name = given.get("name") if isinstance(given, Mapping) else None
    if not isinstance(name, str) or not name:
        refuse(f"a request has no name: {given!s:.120}")
    check_names(f"request {name}: field", given, FIELDS)
    specs = {str(key): str(value) for key, value in (given.get("extra_specs") or {}).items()}
    properties = canonical_properties(given.get("image_properties") or {})
    count = _count(given, "num_instances", 1)
    if count < 1:
        refuse(f"request {name}: num_instances is 0; ask for at least one instance or leave the request out")
    vcpus, memory_mb = _count(given, "vcpus"), _count(given, "memory_mb")
    guest = guest_topology(name, vcpus, memory_mb, specs, properties)
    required, forbidden = wanted_traits(name, specs, properties, given, policy)
    resources = _resources(given, vcpus, memory_mb, specs, guest)
    return Request(
        name=name,
        flavor_name=str(given.get("flavor_name") or ""),
        vcpus=vcpus,
        memory_mb=memory_mb,
        instance_names=_instance_names(given, name, count),
        instance_uuids=_each_instance(given, "instance_uuids", count),
        min_count=_count(given, "min_count", 0),
        project_id=given.get("project_id"),
        extra_specs=specs,
        image_properties=properties,
        image_id=given.get("image_id"),
        hints=_hints(given),
        group=_group(given),
        spread=_spread(given),
        availability_zone=given.get("availability_zone") or None,
        ignore_hosts=_lowered(given, "ignore_hosts"),
        requested_host=given.get("requested_host") or None,
        force_hosts=_lowered(given, "force_hosts"),
        preferred_cell=given.get("preferred_cell"),
        resources=resources,
        unpinned_resources=_unpinned(resources, vcpus, specs, guest, policy),
        required_traits=required,
        forbidden_traits=forbidden,
        guest=guest,
        devices=device_requests(name, specs, properties, policy.aliases),
        bridges=tuple(_bridge(name, one) for one in given.get("bridges") or ()),
        source=given,
    )


def _count(given: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Return a whole number of at least zero, or refuse the request by name and field."""
    value = given.get(key)
    if value is None and default is not None:
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or number != int(number):
        problem = "is missing" if value is None else f"is {value!r}"
        refuse(f"request {given['name']}: {key} {problem}; give a whole number of at least 0")
    return int(number)


def _each_instance(given: Mapping[str, Any], key: str, count: int) -> tuple[str, ...]:
    """Return one text per instance, or nothing when none was given."""
    values = tuple(given.get(key) or ())
    if values and len(values) != count:
        refuse(f"request {given['name']}: {key} has {len(values)} entries for {count} instances; give one for each")
    return values


def _instance_names(given: Mapping[str, Any], name: str, count: int) -> tuple[str, ...]:
    """Return the names of the instances: the given ones, the request's own, or the request's with a number."""
    names = _each_instance(given, "instance_names", count)
    if names:
        return names
    return (name,) if count == 1 else tuple(f"{name}-{number}" for number in range(1, count + 1))


def _resources(
    given: Mapping[str, Any], vcpus: int, memory_mb: int, specs: Mapping[str, str], guest: Guest | None
) -> dict[str, int]:
    """Return what one instance takes, per resource class: the flavor's numbers, then the `resources:` extra specs."""
    disk = _count(given, "ephemeral_gb", 0) + math.ceil(_count(given, "swap_mb", 0) / 1024)
    if not given.get("boot_from_volume"):
        disk += _count(given, "disk_gb")
    dedicated = guest.pinned if guest else 0
    wanted = {"PCPU": dedicated, "VCPU": vcpus - (guest.dedicated if guest else 0)}
    wanted |= {"MEMORY_MB": memory_mb, "DISK_GB": disk}
    if encrypts_memory(specs, canonical_properties(given.get("image_properties") or {})):
        wanted["MEM_ENCRYPTION_CONTEXT"] = 1
    asked = _asked_resources(given["name"], specs)
    if not {"VCPU", "PCPU"}.isdisjoint(asked):
        wanted = {key: amount for key, amount in wanted.items() if key not in ("VCPU", "PCPU")}
    return {key: amount for key, amount in sorted({**wanted, **asked}.items()) if amount}


def _asked_resources(name: str, specs: Mapping[str, str]) -> dict[str, int]:
    """Return the classes of `resources:` extra specs; suffixed groups add up, for a host is one provider."""
    asked: dict[str, int] = {}
    for key, value in specs.items():
        prefix, colon, resource_class = key.partition(":")
        if not colon or not prefix.startswith("resources"):
            continue
        if not value.isdigit() or not resource_class:
            refuse(f"request {name}: extra spec {key}={value} must be resources:CLASS=<whole number>")
        asked[resource_class] = asked.get(resource_class, 0) + int(value)
    for label in specs.get("hw:pmem", "").split(","):
        if label.strip():
            resource_class = f"CUSTOM_PMEM_NAMESPACE_{label.strip().upper()}"
            asked[resource_class] = asked.get(resource_class, 0) + 1
    return asked


def _unpinned(
    resources: Mapping[str, int], vcpus: int, specs: Mapping[str, str], guest: Guest | None, policy: Policy
) -> dict[str, int] | None:
    """Return the resources of Nova's second query: a host that offers no PCPU may take dedicated CPUs from VCPU."""
    if not guest or guest.cpu_policy != "dedicated" or policy.disable_fallback_pcpu_query:
        return None
    if any(key.partition(":")[2] == "PCPU" for key in specs):
        return None
    others = {key: amount for key, amount in resources.items() if key != "PCPU"}
    return dict(sorted({**others, "VCPU": vcpus}.items()))


def _hints(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scheduler hints; one value in a list is that value, except where a list is meant."""
    hints = {}
    for key, value in (given.get("hints") or {}).items():
        several = key in ("same_host", "different_host", "query")
        hints[key] = value[0] if not several and isinstance(value, Sequence) and len(value) == 1 else value
    return hints


def _group(given: Mapping[str, Any]) -> Group | None:
    """Return the server group, its policy and rules checked."""
    group = given.get("server_group")
    if not group:
        return None
    check_names(f"request {given['name']}: server group field", group, _GROUP_FIELDS)
    policy = group.get("policy")
    if policy not in GROUP_POLICIES:
        refuse_unknown(f"request {given['name']}: server group policy", policy, GROUP_POLICIES)
    rules = dict(group.get("rules") or {})
    if group.get("max_server_per_host") is not None:
        rules["max_server_per_host"] = group["max_server_per_host"]
    check_names("server group rule", rules, ("max_server_per_host",))
    if rules and policy != "anti-affinity":
        refuse(f"request {given['name']}: max_server_per_host belongs to anti-affinity, not to {policy}")
    most = _count({"name": given["name"], **rules}, "max_server_per_host", 1)
    name = group.get("name") or group.get("uuid") or f"of {given['name']}"
    return Group(str(name), policy, frozenset(group.get("members") or ()), most)


def _spread(given: Mapping[str, Any]) -> Spread | None:
    """Return over which host label the instances are shared out."""
    spread = given.get("spread")
    if not spread:
        return None
    check_names(f"request {given['name']}: spread field", spread, ("by", "policy", "max_skew"))
    policy = spread.get("policy", "hard")
    if policy not in ("hard", "soft"):
        refuse_unknown(f"request {given['name']}: spread policy", policy, ("hard", "soft"))
    if not spread.get("by"):
        refuse(f"request {given['name']}: spread needs the host label to spread by, for example by: rack")
    return Spread(str(spread["by"]), policy == "hard", max(1, _count({"name": given["name"], **spread}, "max_skew", 1)))


def _bridge(request: str, given: Mapping[str, Any]) -> Bridge:
    """Return a bridge that the host must have."""
    check_names(f"request {request}: bridge field", given, ("name", "network", "mtu"))
    if not given.get("name"):
        refuse(f"request {request}: a bridge needs its name")
    return Bridge(
        str(given["name"]), str(given.get("network") or given["name"]), _count({"name": request, **given}, "mtu", 0)
    )


def _lowered(given: Mapping[str, Any], key: str) -> frozenset[str]:
    """Return host names in lower case, as Nova compares them here."""
    names = given.get(key) or ()
    return frozenset(name.lower() for name in ([names] if isinstance(names, str) else names))
