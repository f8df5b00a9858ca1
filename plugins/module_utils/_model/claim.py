# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance asks of the registry. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ItemError

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@dataclass(frozen=True)
class PortClaim:
    """A network card: its MAC is unique in the fleet, its addresses in the network."""

    id: str
    network: str
    mac: str
    fixed_ip: str | None
    subnets: tuple[Mapping[str, Any], ...]
    scope: str = ""


@dataclass(frozen=True)
class Group:
    """A server group: its policy, and how many of its members anti-affinity lets one host have."""

    name: str
    policy: str
    max_server_per_host: int = 1


@dataclass(frozen=True)
class Claim:
    """An instance, where it shall be, and all that must be free for it. `resources` are amounts by resource class."""

    uuid: str
    project: str
    name: str
    domain: str
    host: str
    spec_digest: str
    resources: Mapping[str, int]
    ports: tuple[PortClaim, ...]
    group: Group | None
    record: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Return the name with its project, for messages."""
        return f"{self.name} (project {self.project})"

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Claim:
        """Return the claim of an instance record; raises ItemError naming what it lacks."""
        for key in ("uuid", "name", "host", "flavor", "spec_digest"):
            if not record.get(key):
                raise ItemError(f"the record has no '{key}', which the stages before claim fill in", fault="request")
        project = record.get("project") or "default"
        return cls(
            uuid=record["uuid"],
            project=project,
            name=record["name"],
            domain=record.get("domain") or record["name"],
            host=record["host"],
            spec_digest=record["spec_digest"],
            resources=resources(record),
            ports=tuple(_port(one, index) for index, one in enumerate(record.get("ports") or ())),
            group=_group(record.get("server_group")),
            record=record,
        )


def resources(record: Mapping[str, Any]) -> dict[str, int]:
    """Return what the instance takes of its host by Placement's classes.

    `resources` of the record where the scheduler has worked it out, else Nova's rule: the flavor's numbers with
    DISK_GB = root + ephemeral + swap, and `resources:CLASS` extra specs in their place.
    """
    if record.get("resources"):
        return {key: int(amount) for key, amount in record["resources"].items() if int(amount)}
    flavor = record["flavor"]
    try:
        from_volume = any(one.get("id") and one.get("boot_index") == 0 for one in record.get("volumes") or ())
        disk = 0 if from_volume else int(flavor.get("disk_gb") or 0)
        disk += int(flavor.get("ephemeral_gb") or 0)
        disk += -(-int(flavor.get("swap_mb") or 0) // 1024)
        wanted = {"VCPU": int(flavor["vcpus"]), "MEMORY_MB": int(flavor["memory_mb"]), "DISK_GB": disk}
        for key, value in (flavor.get("extra_specs") or {}).items():
            prefix, dummy, resource_class = key.partition(":")
            if prefix == "resources" and resource_class:
                wanted[resource_class] = int(value)
    except (KeyError, TypeError, ValueError) as error:
        raise ItemError(
            f"the flavor's sizes cannot be read ({error}): give vcpus, memory_mb and disk_gb", fault="request"
        )
    return {key: amount for key, amount in wanted.items() if amount}


def _port(record: Mapping[str, Any], index: int) -> PortClaim:
    """Return the claim of one port."""
    for key in ("id", "network", "mac"):
        if not record.get(key):
            raise ItemError(f"ports[{index}] has no '{key}', which stage request fills in", fault="request")
    return PortClaim(
        id=record["id"],
        network=record["network"],
        mac=record["mac"].lower(),
        fixed_ip=record.get("fixed_ip") or None,
        subnets=tuple(record.get("subnets") or ()),
        scope=record.get("scope") or "",
    )


def _group(record: Mapping[str, Any] | None) -> Group | None:
    """Return the server group, or None."""
    if not record:
        return None
    if not record.get("name") or record.get("policy") not in POLICIES:
        raise ItemError(f"its server group needs a name and a policy of {', '.join(POLICIES)}", fault="request")
    return Group(record["name"], record["policy"], int((record.get("rules") or {}).get("max_server_per_host", 1)))
