# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts have left at one moment of a run: the fleet's numbers with everything counted that was placed so far.

This is the one thing of the scheduler that changes. It is copied before something is only tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import numa, pci
from .arrays import np
from .hosts import Fleet
from .inventory import Inventory, inventory_of
from .policy import Policy
from .requests import Group, Request

# Rows of the fleet: an array of them, or slice(None) for all.
Rows = Any


class State:
    """The arrays that change while a run decides, and what arrived on single hosts."""

    def __init__(self, fleet: Fleet, policy: Policy) -> None:
        columns = fleet.columns
        self.fleet = fleet
        self.policy = policy
        self.vcpus_used = columns["vcpus_used"] + columns["reserved_vcpus"]
        self.free_ram_mb = columns["memory_mb"] - columns["memory_mb_used"] - columns["reserved_memory_mb"]
        free_disk_gb = columns["disk_gb"] - columns["disk_gb_used"] - columns["reserved_disk_gb"]
        self.free_disk_mb = np.minimum(free_disk_gb, columns["disk_available_least"]) * 1024
        self.num_instances = columns["num_instances"].copy()
        self.num_io_ops = columns["num_io_ops"].copy()
        self.used: dict[str, np.ndarray] = {}
        self.arrived: dict[int, list[Mapping[str, Any]]] = {}
        self.left: dict[int, set[str]] = {}
        self.members: dict[str, dict[str, int]] = {}
        self.listed: dict[str, set[str]] = {}
        self.cells: dict[int, tuple[numa.HostCell, ...]] = {}
        self.pools: dict[int, list[dict[str, Any]]] = {}
        self.group_counts: dict[str, np.ndarray] = {}

    def copy(self) -> State:
        """Return a state that can be changed without changing this one."""
        twin = State.__new__(State)
        twin.fleet, twin.policy = self.fleet, self.policy
        for name in ("vcpus_used", "free_ram_mb", "free_disk_mb", "num_instances", "num_io_ops"):
            setattr(twin, name, getattr(self, name).copy())
        twin.used = {key: column.copy() for key, column in self.used.items()}
        twin.arrived = {row: list(instances) for row, instances in self.arrived.items()}
        twin.left = {row: set(uuids) for row, uuids in self.left.items()}
        twin.listed = {name: set(uuids) for name, uuids in self.listed.items()}
        twin.members = {name: dict(rows) for name, rows in self.members.items()}
        twin.cells, twin.pools = dict(self.cells), dict(self.pools)
        twin.group_counts = {name: counts.copy() for name, counts in self.group_counts.items()}
        return twin

    def rows(self, rows: Rows) -> Iterator[int]:
        """Return the rows as plain numbers."""
        return range(len(self.fleet.names)) if isinstance(rows, slice) else rows.tolist()

    def inventory(self, resource_class: str) -> Inventory:
        """Return what every host has of one resource class, as it was at the start."""
        return inventory_of(self.fleet, resource_class)

    def used_of(self, resource_class: str) -> np.ndarray:
        """Return what is taken of one resource class on every host."""
        if resource_class not in self.used:
            self.used[resource_class] = self.inventory(resource_class).used.copy()
        return self.used[resource_class]

    def fits(self, resource_class: str, amount: int, rows: Rows) -> np.ndarray:
        """Return where all four rules of placement hold for an amount of one class."""
        inventory, used = self.inventory(resource_class), self.used_of(resource_class)[rows]
        return inventory.gives(amount)[rows] & (used + amount <= inventory.room[rows])

    def offers_dedicated(self, request: Request, rows: Rows) -> np.ndarray:
        """Return where the dedicated CPUs of the request come from PCPU, with the threads that it wants."""
        threads = self.fleet.has_trait("HW_CPU_HYPERTHREADING")[rows]
        fits = self.fits("PCPU", request.resources["PCPU"], rows)
        return {"require": fits & threads, "isolate": fits & ~threads}.get(request.guest.thread_policy, fits)

    def instances(self, row: int) -> Iterator[Mapping[str, Any]]:
        """Yield the instances on a host, those placed in this run last; one known only by its uuid has only that."""
        gone = self.left.get(row, ())
        for instance in self.fleet.records[row].get("instances") or ():
            plain = {"uuid": instance} if isinstance(instance, str) else instance
            if plain.get("uuid", plain.get("name")) not in gone:
                yield plain
        yield from self.arrived.get(row, ())

    def host_of(self, uuid: str) -> int | None:
        """Return the row of the host that has the instance, None when no host has it."""
        known = self.fleet.once("instance rows", self._instance_rows)
        row = known.get(uuid)
        if row is not None and uuid not in self.left.get(row, ()):
            return row
        for arrived, instances in self.arrived.items():
            if any(instance.get("uuid") == uuid for instance in instances):
                return arrived
        return None

    def _instance_rows(self) -> dict[str, int]:
        """Return the row of every instance that the records name."""
        rows = {}
        for row, instances in enumerate(self.fleet.column("instances")):
            for instance in instances or ():
                rows[instance if isinstance(instance, str) else instance.get("uuid", instance.get("name"))] = row
        return rows

    def host_cells(self, row: int) -> tuple[numa.HostCell, ...]:
        """Return the NUMA cells of a host as they are now."""
        if row not in self.cells:
            self.cells[row] = self.fleet.once(("cells", row), lambda: numa.host_cells(self.fleet.records[row]))
        return self.cells[row]

    def pci_pools(self, row: int) -> list[dict[str, Any]]:
        """Return the PCI pools of a host as they are now."""
        if row not in self.pools:
            self.pools[row] = self.fleet.once(("pools", row), lambda: pci.pools_of(self.fleet.records[row]))
        return self.pools[row]

    def group_count(self, group: Group) -> np.ndarray:
        """Return how many members of a server group each host has: those the group lists, or instances that name it.

        What later requests list of the same group is added to what earlier ones did.
        """
        if group.name not in self.group_counts:
            self.group_counts[group.name] = np.zeros(len(self.fleet.names))
            self.members[group.name] = {}
            self.listed[group.name] = set()
            for uuid, row in self.fleet.once("group rows", self._group_rows).get(group.name, {}).items():
                if uuid not in self.left.get(row, ()):
                    self._join(group.name, uuid, row)
        for uuid in sorted(group.members - self.listed[group.name]):
            self.listed[group.name].add(uuid)
            row = self.host_of(uuid)
            if row is not None:
                self._join(group.name, uuid, row)
        return self.group_counts[group.name]

    def _join(self, name: str, uuid: str, row: int) -> None:
        """Count an instance on a host as a member of a group, once."""
        if self.members[name].get(uuid) != row:
            self.members[name][uuid] = row
            self.group_counts[name][row] += 1

    def _group_rows(self) -> dict[str, dict[str, int]]:
        """Return, per server group that an instance record names, its instances and their rows."""
        groups: dict[str, dict[str, int]] = {}
        for row, instances in enumerate(self.fleet.column("instances")):
            for instance in instances or ():
                if not isinstance(instance, str) and instance.get("server_group"):
                    uuid = instance.get("uuid", instance.get("name"))
                    groups.setdefault(group_name(instance["server_group"]), {})[uuid] = row
        return groups

    def place(self, row: int, request: Request, position: int) -> None:
        """Count one instance of the request on a host, as its claim will."""
        resources = self.claimed(row, request)
        for resource_class, amount in resources.items():
            self.used_of(resource_class)[row] += amount
        self.vcpus_used[row] += request.vcpus
        self.free_ram_mb[row] -= request.memory_mb
        self.free_disk_mb[row] -= resources.get("DISK_GB", 0) * 1024
        self.num_instances[row] += 1
        self.num_io_ops[row] += 1
        self._take_devices(row, request)
        uuid = instance_id(request, position)
        self.arrived.setdefault(row, []).append(_instance(request, position, resources))
        if request.group:
            self.group_count(request.group)
            self._join(request.group.name, uuid, row)

    def claimed(self, row: int, request: Request) -> Mapping[str, int]:
        """Return what the request takes of this host: PCPU where the host offers it, else Nova's fallback to VCPU."""
        if request.unpinned_resources is None:
            return request.resources
        offered = self.offers_dedicated(request, np.array([row]))[0]
        return request.resources if offered else request.unpinned_resources

    def _take_devices(self, row: int, request: Request) -> None:
        """Count the NUMA cells and PCI devices that the instance takes, where the host has them."""
        if not request.guest and not request.devices:
            return
        pools = self.pci_pools(row)
        if request.guest and self.host_cells(row):
            after = self.numa_fit(row, request)
            if after:
                self.cells[row], self.pools[row] = after.cells, after.pools
        else:
            self.pools[row] = pci.take_devices(pools, request.devices) or pools

    def numa_fit(self, row: int, request: Request) -> numa.Fit | None:
        """Return how the guest's cells would fit on the host, None when they do not."""
        columns = self.fleet.columns
        return numa.fit(
            self.host_cells(row),
            self.pci_pools(row),
            request.guest,
            request.devices,
            float(columns["cpu_allocation_ratio"][row]),
            float(columns["ram_allocation_ratio"][row]),
            self.policy.packing_host_numa_cells_allocation_strategy,
        )

    def remove(self, row: int, instance: Mapping[str, Any]) -> None:
        """Count an instance of a host record as gone, to try what its move would free."""
        uuid = instance.get("uuid", instance.get("name"))
        for resource_class, key in (("VCPU", "vcpus"), ("MEMORY_MB", "memory_mb"), ("DISK_GB", "disk_gb")):
            self.used_of(resource_class)[row] -= instance.get(key, 0)
        self.vcpus_used[row] -= instance.get("vcpus", 0)
        self.free_ram_mb[row] += instance.get("memory_mb", 0)
        self.free_disk_mb[row] += instance.get("disk_gb", 0) * 1024
        self.num_instances[row] -= 1
        self.left.setdefault(row, set()).add(uuid)
        for name, rows in self.members.items():
            if rows.pop(uuid, None) is not None:
                self.group_counts[name][row] -= 1


def group_name(group: Any) -> str:
    """Return the name of a server group that an instance record names or holds."""
    return group if isinstance(group, str) else str(group.get("name") or group.get("uuid"))


def instance_id(request: Request, position: int) -> str:
    """Return what tells an instance from all others: its uuid, or its name where it has none yet."""
    return request.instance_uuids[position] if request.instance_uuids else request.instance_names[position]


def _instance(request: Request, position: int, resources: Mapping[str, int]) -> dict[str, Any]:
    """Return the instance as a host record would name it."""
    return {
        "uuid": instance_id(request, position),
        "name": request.instance_names[position],
        "project_id": request.project_id,
        "vcpus": request.vcpus,
        "memory_mb": request.memory_mb,
        "disk_gb": resources.get("DISK_GB", 0),
        "server_group": request.group.name if request.group else None,
        "image_properties": request.image_properties,
    }
