# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI devices: what the aliases of a flavor ask for, and whether the pools of a host can give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .names import refuse, refuse_unknown
from .operators import is_true

NUMA_POLICIES = ("required", "preferred", "legacy", "socket")
# Matched by placement in Nova, and by our inventory here, so they do not choose a pool.
_NOT_MATCHED = ("resource_class", "traits", "rp_uuids", "rp_uuid", "numa_policy", "name", "capability_type")


@dataclass(frozen=True)
class DeviceRequest:
    """So many devices that match any of the alias's descriptions, near the guest's memory as the policy says."""

    alias: str
    count: int
    specs: tuple[Mapping[str, Any], ...]
    numa_policy: str


def device_requests(
    name: str, specs: Mapping[str, str], properties: Mapping[str, Any], aliases: Mapping[str, Any]
) -> tuple[DeviceRequest, ...]:
    """Return the devices that `pci_passthrough:alias` asks for; an alias that the policy lacks is refused."""
    affinity = specs.get("hw:pci_numa_affinity_policy") or properties.get("hw_pci_numa_affinity_policy")
    requests = []
    for word in specs.get("pci_passthrough:alias", "").split(","):
        alias, _colon, count = word.strip().partition(":")
        if not alias:
            continue
        if alias not in aliases:
            refuse_unknown(f"request {name}: PCI alias", alias, aliases)
        if not count.strip().isdigit():
            refuse(f"request {name}: pci_passthrough:alias={word.strip()} must be alias:<number of devices>")
        described = aliases[alias]
        descriptions = [described] if isinstance(described, Mapping) else described
        policy = affinity or next((one["numa_policy"] for one in descriptions if "numa_policy" in one), "legacy")
        if policy not in NUMA_POLICIES:
            refuse_unknown(f"request {name}: PCI NUMA policy", policy, NUMA_POLICIES)
        plain = tuple(
            {
                "dev_type" if key == "device_type" else key: value
                for key, value in one.items()
                if key not in _NOT_MATCHED
            }
            for one in descriptions
        )
        requests.append(DeviceRequest(alias, int(count), plain, policy))
    return tuple(requests)


def pools_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the host's pools, tags beside the other keys, those with the fewest keys first as Nova tries them."""
    pools = [{**{key: one[key] for key in one if key != "tags"}, **(one.get("tags") or {})} for one in _given(record)]
    return sorted(pools, key=len)


def _given(record: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Return the pools of the record, their counts checked."""
    for pool in record.get("pci_pools") or ():
        if not isinstance(pool.get("count"), int):
            refuse(f"host {record['name']}: a PCI pool has no count; gather the host's facts again")
        yield pool


def take_devices(
    pools: Sequence[Mapping[str, Any]],
    requests: Sequence[DeviceRequest],
    cells: Sequence[int] = (),
    sockets: Mapping[int, Any] | None = None,
) -> list[dict[str, Any]] | None:
    """Return the pools after all requests took their devices, or None when they cannot.

    `cells` are the host cells that the guest gets (none: no affinity is asked), `sockets` the socket of each host cell.
    """
    left = [dict(pool) for pool in pools]
    for request in requests:
        chosen = _suitable(left, request, cells, sockets or {})
        if sum(pool["count"] for pool in chosen) < request.count:
            return None
        missing = request.count
        for pool in chosen:
            taken = min(missing, pool["count"])
            pool["count"] -= taken
            missing -= taken
        left = [pool for pool in left if pool["count"]]
    return left


def _suitable(
    pools: Sequence[dict[str, Any]], request: DeviceRequest, cells: Sequence[int], sockets: Mapping[int, Any]
) -> list[dict[str, Any]]:
    """Return the pools that the request may take from, in the order to take from them."""
    chosen = [pool for pool in pools if any(_has(pool, spec) for spec in request.specs)]
    chosen = _near(chosen, request, cells, sockets) if cells else chosen
    for kind in ("type-PF", "vdpa"):
        if all(spec.get("dev_type") != kind for spec in request.specs):
            chosen = [pool for pool in chosen if pool.get("dev_type") != kind]
    if not any(is_true(spec.get("remote_managed", "")) for spec in request.specs):
        chosen = [pool for pool in chosen if not is_true(pool.get("remote_managed", ""))]
    return chosen


def _has(pool: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Return whether a pool has every property of a description, text compared without regard to case."""
    for key, wanted in spec.items():
        have = pool.get(key)
        if isinstance(wanted, list) and isinstance(have, list):
            if not set(wanted) <= set(have):
                return False
        elif _plain(have) != _plain(wanted):
            return False
    return True


def _plain(value: Any) -> Any:
    """Return text in lower case and anything else as it is."""
    return value.lower() if isinstance(value, str) else value


def _near(
    pools: Sequence[dict[str, Any]], request: DeviceRequest, cells: Sequence[int], sockets: Mapping[int, Any]
) -> list[dict[str, Any]]:
    """Return the pools as near to the guest's cells as the policy demands; nearer ones whenever they suffice."""
    near = [pool for pool in pools if pool.get("numa_node") in cells]
    if request.numa_policy == "required" or sum(pool["count"] for pool in near) >= request.count:
        return near
    if request.numa_policy == "socket":
        if not sockets or None in sockets.values():
            return []
        theirs = {sockets.get(cell) for cell in cells}
        return [pool for pool in pools if sockets.get(pool.get("numa_node"), object()) in theirs]
    known = [pool for pool in pools if pool.get("numa_node") is None or pool.get("numa_node") in cells]
    if request.numa_policy == "legacy" or sum(pool["count"] for pool in known) >= request.count:
        return known
    return sorted(pools, key=lambda pool: pool.get("numa_node") not in (*cells, None))
