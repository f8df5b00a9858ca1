# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision record as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Step -> the word for the hosts that it leaves; any other step is called by its name.
_WORDS = {
    "MEMORY_MB capacity": "memory",
    "DISK_GB capacity": "disk",
    "VCPU capacity": "vcpus",
    "PCPU capacity": "dedicated cpus",
    "MEMORY_MB max_unit": "memory in one piece",
    "DISK_GB max_unit": "disk in one piece",
    "VCPU max_unit": "vcpus in one piece",
    "availability zone": "zone",
    "ComputeFilter": "up",
    "ImagePropertiesFilter": "image",
    "ComputeCapabilitiesFilter": "capabilities",
    "ServerGroupAntiAffinityFilter": "anti-affinity",
    "ServerGroupAffinityFilter": "affinity",
    "DifferentHostFilter": "different host",
    "SameHostFilter": "same host",
    "SimpleCIDRAffinityFilter": "network",
    "AggregateInstanceExtraSpecsFilter": "aggregate extra specs",
    "AggregateImagePropertiesIsolation": "aggregate image",
    "AggregateMultiTenancyIsolation": "aggregate project",
    "AggregateTypeAffinityFilter": "aggregate flavor",
    "NumInstancesFilter": "number of instances",
    "AggregateNumInstancesFilter": "number of instances",
    "IoOpsFilter": "disk work",
    "AggregateIoOpsFilter": "disk work",
    "IsolatedHostsFilter": "isolation",
    "JsonFilter": "query",
    "MetricsFilter": "metrics",
    "NUMATopologyFilter": "numa",
    "PciPassthroughFilter": "devices",
    "BridgeFilter": "bridges",
    "SpreadFilter": "spread",
    "NPlusOneFilter": "n+1",
}
_MARGIN = " " * 11


def lines(record: Mapping[str, Any]) -> list[str]:
    """Return the record as text: a line for each placed instance, a paragraph for each that has no host."""
    told = [f"warning: {warning}" for warning in record.get("warnings", ())]
    for request in record["requests"]:
        for instance in request["instances"]:
            told.extend(_instance(record, request, instance))
    return told


def _instance(record: Mapping[str, Any], request: Mapping[str, Any], instance: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one instance."""
    head = "  ".join(part for part in (instance["name"], _flavor(request), _group(request)) if part)
    if instance["host"]:
        then = f"  (then {', '.join(instance['alternates'])})" if instance["alternates"] else ""
        yield f"{head}  -> {instance['host']}{then}"
        return
    yield f"{head:<76}no host"
    if "same_as" in instance:
        yield f"  as {request['instances'][instance['same_as']]['name']}"
        return
    if instance["left"][-1:] != [0]:
        yield f"  {_withdrawn(request)}"
        return
    yield f"  {chain(record, request, instance)}"
    yield from _advice(request)


def _flavor(request: Mapping[str, Any]) -> str:
    """Return the flavor with its numbers."""
    flavor = request["flavor"]
    size = f"({flavor['vcpus']} vCPU, {_gib(flavor['memory_mb'])} GiB, {flavor['disk_gb']} GiB)"
    return f"{flavor['name']} {size}" if flavor["name"] else size


def _gib(memory_mb: int) -> str:
    """Return MiB as GiB with no more digits than it needs."""
    return f"{round(memory_mb / 1024, 2):g}"


def _group(request: Mapping[str, Any]) -> str:
    """Return the server group and its policy."""
    return f"group {request['group']['name']}: {request['group']['policy']}" if request["group"] else ""


def chain(record: Mapping[str, Any], request: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    """Return how many hosts each step left, steps that dropped none left out."""
    count = len(record["hosts"])
    parts = [f"{count} hosts"]
    for step, left in zip(request["steps"], instance["left"], strict=True):
        if left != count:
            parts.append(f"{left} {_WORDS.get(step['name'], step['name'])}")
            count = left
    return " -> ".join(parts)


def _advice(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the nearest misses and what would fit."""
    advice = request["advice"]
    if advice["never"]:
        yield f"  {never(advice['never'])}"
    width = max((len(one["host"]) for one in advice["nearest"]), default=0)
    title = "nearest"
    for one in advice["nearest"]:
        yield f"  {title:<{len(_MARGIN)}}{one['host']:<{width}}  {near_miss(one)}"
        title = ""
    width = max((len(one["change"]) for one in advice["would_fit"]), default=0)
    title = "would fit"
    for one in advice["would_fit"]:
        yield f"  {title:<{len(_MARGIN)}}{one['change']:<{width}}  -> {one['host']}"
        title = ""


def near_miss(one: Mapping[str, Any]) -> str:
    """Return what a host misses; a single miss that is no amount reads as the exception that it is."""
    whys = list(dict.fromkeys(miss["why"] for miss in one["misses"]))
    amounts = [isinstance(miss["value"], (int, float)) for miss in one["misses"]]
    return f"everything fits, but {whys[0]}" if len(whys) == 1 and not any(amounts) else "; ".join(whys)


def never(told: Mapping[str, Any]) -> str:
    """Return that the request fits on no host, however empty, and what the largest could give."""
    if not told["class"]:
        return "could never fit: no host has room for all of it, even when it is empty"
    return (
        f"could never fit: needs {told['amount']} {told['class']}, and the most that any host gives even when it is "
        f"empty is {told['most']:g} ({told['host']})"
    )


def message(record: Mapping[str, Any], request: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    """Return in one sentence why an instance has no host, and the way out."""
    if instance.get("left", [0])[-1:] != [0]:
        return f"no host for {instance['name']}: {_withdrawn(request)}"
    advice = request["advice"]
    looked = request["instances"][instance["same_as"]] if "same_as" in instance else instance
    parts = [f"no host for {instance['name']}: {chain(record, request, looked)}"]
    if advice["never"]:
        parts.append(never(advice["never"]))
    parts.extend(f"nearest {one['host']}: {near_miss(one)}" for one in advice["nearest"][:1])
    parts.extend(f"would fit: {one['change']} -> {one['host']}" for one in advice["would_fit"][:1])
    return "; ".join(parts)


def _withdrawn(request: Mapping[str, Any]) -> str:
    """Return why an instance that found a host does not get it."""
    return f"only {request['withdrawn']} of {len(request['instances'])} would have a host, fewer than min_count"
