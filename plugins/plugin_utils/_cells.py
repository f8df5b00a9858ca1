# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does with cells: where each registry is, what the top registry is asked, and what it said. Private.

The top registry holds for every instance of the fleet its cell, name, MACs and addresses: to it a cell is a host with
all that its hosts have. So whatever two runs choose at the same moment, one transaction decides in which cell an
instance is, and an instance that is there stays there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ..module_utils._model.errors import ItemError
from ..module_utils._model.host import unpacked
from ._findings import Found, finding
from ._request.problems import Problem
from ._scheduler.cell_tree import layout, leaves

Record = dict[str, Any]
REGISTRY = "sqlite:////var/lib/virtfleet/registry/cell-{name}.db"
SIZES = {
    "vcpus": ("cpu_allocation_ratio", 4.0, "reserved_vcpus", 0),
    "memory_mb": ("ram_allocation_ratio", 1.0, "reserved_memory_mb", 512),
    "disk_gb": ("disk_allocation_ratio", 1.0, "reserved_disk_gb", 0),
}


def cell_hosts(cells: Mapping[str, Any], groups: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the hosts of each cell."""
    return {name: list(groups.get((one or {}).get("group") or f"cell_{name}") or ()) for name, one in cells.items()}


def cell_problems(cells: Any, groups: Mapping[str, Iterable[str]]) -> list[Problem]:
    """Return what is wrong with the cells of an inventory, if it has any."""
    if not cells:
        return []
    try:
        layout(cell_hosts(cells, groups), groups.get("compute") or ())
    except ItemError as error:
        return [Problem(("virtfleet_cells",), f"do not fit: {error}")]
    return []


def leaf_cells(cells: Mapping[str, Any], groups: Mapping[str, Iterable[str]]) -> list[Record]:
    """Return the cells that have a registry, each with its hosts and where that registry is."""
    by_name = cell_hosts(cells, groups)
    told = []
    for cell in leaves(layout(by_name, groups.get("compute") or ())):
        given = cells[cell.name] or {}
        place = given.get("registry_host") or by_name[cell.name][0]
        url = given.get("registry_url") or REGISTRY.format(name=cell.name)
        told.append({"name": cell.name, "hosts": list(cell.hosts), "registry_host": place, "registry_url": url})
    return told


def dead_cells(
    results: Iterable[Mapping[str, Any]], hosts: Iterable[Mapping[str, Any]] | None = None
) -> dict[str, str]:
    """Return the cells whose registry could not be read, each with the reason; `results` are those of a loop.

    With `hosts`, the host records of a run, a cell of which none answered is one of them.
    """
    up = None if hosts is None else {one["name"] for one in hosts if one.get("up", True)}
    dead = {}
    for one in results:
        cell = one["cell"]
        if one.get("unreachable") or "schema_version" not in one:
            dead[cell["name"]] = str(one.get("msg") or "it did not answer").removeprefix("Task failed: ")
        elif up is not None and up.isdisjoint(cell["hosts"]):
            dead[cell["name"]] = "none of its hosts answers"
    return dead


def cells_of(
    top: Iterable[Mapping[str, Any]], hosts: Iterable[Mapping[str, Any]], cells: Iterable[Record]
) -> dict[str, str]:
    """Return by uuid the cell that has the instance: as the top registry says, else as a host of the cell tells."""
    by_host = {host: cell["name"] for cell in cells for host in cell["hosts"]}
    found = {
        one["uuid"]: by_host[host["name"]]
        for host in hosts
        if host["name"] in by_host
        for one in unpacked(host)
        if one.get("ours")
    }
    return {**found, **{one["uuid"]: one["host"] for one in top}}


def as_hosts(cells: Iterable[Record], hosts: Iterable[Mapping[str, Any]], dead: Mapping[str, str]) -> list[Record]:
    """Return the cells as host records, each with what all its hosts together may promise."""
    known = {one["name"]: one for one in hosts}
    told = []
    for cell in cells:
        own = [known[name] for name in cell["hosts"] if name in known]
        sums = {size: int(sum(_promised(one, size) for one in own)) for size in SIZES}
        plain = {rule[0]: 1.0 for rule in SIZES.values()} | {rule[2]: 0 for rule in SIZES.values()}
        why = dead.get(cell["name"])
        state = {"up": why is None, "disabled_reason": why or "", "instances": []}
        told.append({"name": cell["name"], **sums, **plain, **state})
    return told


def _promised(host: Mapping[str, Any], size: str) -> float:
    """Return how much of a size a host may promise."""
    ratio, ratio_default, reserve, reserve_default = SIZES[size]
    ratio, reserve = host.get(ratio), host.get(reserve)
    kept = reserve_default if reserve is None else reserve
    return max(0.0, (host.get(size) or 0) - kept) * (ratio_default if ratio is None else ratio)


def to_top(records: Iterable[Record], cells: Mapping[str, str], dead: Mapping[str, str]) -> list[Record]:
    """Return what the top registry is asked to claim: each instance in its cell, its server group in one cell."""
    asked = []
    for one in records:
        cell = cells.get(one["uuid"])
        if not cell or cell in dead or one["state"] == "absent" or one.get("failed"):
            continue
        group = one.get("server_group")
        together = {"server_group": {**group, "policy": "affinity"}} if group else {}
        asked.append({**one, **together, "host": cell})
    return asked


def pinned(port: Record) -> Record:
    """Return the port with subnets that give no other address than the one the top registry gave."""
    given = [ipaddress.ip_address(one["address"]) for one in port.get("addresses") or ()]
    subnets = [
        {**one, "pool": [str(address)]}
        for one in port.get("subnets") or ()
        for address in given
        if address in ipaddress.ip_network(one["cidr"])
    ]
    return {**port, "subnets": subnets} if given else port


def with_cell(
    records: Iterable[Record], cells: Mapping[str, str], claimed: Iterable[Record], choice: Mapping[str, Any]
) -> list[Record]:
    """Return the records with what the top registry said: their cell, the addresses in it, and why they have none.

    The first cell of all is asked about one that nobody knows and nobody wants to have.
    """
    told = {one["uuid"]: one for one in claimed}
    chosen = (choice or {}).get("instances") or {}
    return [_with_cell(one, cells.get(one["uuid"]), told.get(one["uuid"]), chosen.get(one["uuid"])) for one in records]


def _with_cell(record: Record, cell: str | None, claimed: Record | None, chosen: Mapping[str, Any] | None) -> Record:
    """Return one record with its cell."""
    reason = {"cell_reason": chosen["reason"]} if chosen else {}
    if record.get("failed"):
        return {**record, "cell": cell, **reason}
    if claimed and claimed.get("failed"):
        failure = {"failed": True, "msg": claimed["msg"], "fault": "request"}
        return {**record, "cell": cell, **reason, **failure, "todo": "none"}
    if chosen and not chosen["cell"]:
        failure = {"failed": True, "msg": chosen["reason"], "fault": "request"}
        return {**record, "cell": None, **reason, **failure, "todo": "none"}
    if not claimed:
        return {**record, "cell": cell, **reason}
    now = {"cell": claimed["host"], "cell_claim": claimed["claim_state"], **reason}
    return {**record, **now, "ports": [pinned(port) for port in claimed["ports"]]}


def unpinned(records: Iterable[Record], asked: Iterable[Record]) -> list[Record]:
    """Return the records, their ports with the subnets of the networks again."""
    subnets = {port["id"]: port.get("subnets") for one in asked for port in one.get("ports") or ()}
    return [
        {**one, "ports": [{**port, "subnets": subnets.get(port["id"], port.get("subnets"))} for port in one["ports"]]}
        if one.get("ports")
        else one
        for one in records
    ]


def in_order(records: Iterable[Record], asked: Iterable[Record]) -> list[Record]:
    """Return the records in the order of those that were asked for, each with its cell.

    One that shall go has become the record that its host has, which knows of no cell.
    """
    known = {one["uuid"]: one for one in records}
    own = ({key: one[key] for key in ("cell", "cell_claim", "cell_reason") if key in one} for one in asked)
    return [{**known.get(one["uuid"], one), **cell} for one, cell in zip(asked, own)]


def in_cells(instances: Iterable[Mapping[str, Any]], cells: Iterable[Record]) -> list[Record]:
    """Return what hosts told of instances as the top registry is made again of it: each is in its cell."""
    by_host = {host: cell["name"] for cell in cells for host in cell["hosts"]}
    return [{**one, "host": by_host[one["host"]]} for one in instances if one["host"] in by_host]


def joined(results: Iterable[Mapping[str, Any]], strict: bool) -> Record:
    """Return what the registries of all cells say as one: instances, volumes, history and which of them are dead.

    Raises ItemError if one cannot be read and may not be left out.
    """
    results = list(results)
    dead = dead_cells(results)
    if strict and dead:
        raise ItemError(next(iter(dead.values())))
    alive = [one for one in results if one["cell"]["name"] not in dead]
    told = [one.get("history") or {} for one in alive]
    gone: dict[str, dict[str, int]] = {}
    for history in told:
        for uuid, hosts in (history.get("gone") or {}).items():
            gone.setdefault(uuid, {}).update(hosts)
    nows = [history["now"] for history in told if history.get("now")]
    # What is younger than any of the registries may be of a time before it.
    ages = [history["age"] for history in told if history.get("age") is not None]
    history = {"now": max(nows), "age": min(ages), "gone": gone} if nows and ages else {}
    listed = {key: [one for each in alive for one in each.get(key) or ()] for key in ("instances", "volumes")}
    return {**listed, "history": history, "dead": dead}


def of_dead(hosts: Iterable[Mapping[str, Any]], cells: Iterable[Record], dead: Mapping[str, str]) -> list[Record]:
    """Return the host records, those of cells that are left out as not up: nobody can say what is stray there."""
    why = {
        host: f"the registry of cell {cell['name']} cannot be read: {dead[cell['name']]}"
        for cell in cells
        for host in cell["hosts"]
        if cell["name"] in dead
    }
    return [{**one, "up": False, "disabled_reason": why[one["name"]]} if one["name"] in why else one for one in hosts]


def misfits(
    top: Iterable[Mapping[str, Any]],
    claims: Iterable[Mapping[str, Any]],
    cells: Iterable[Record],
    dead: Mapping[str, str],
) -> list[Found]:
    """Return where the top registry and those of the cells say different things."""
    by_host = {host: cell["name"] for cell in cells for host in cell["hosts"]}
    above = {one["uuid"]: one for one in top}
    below = {one["uuid"]: one for one in claims}
    found = []
    for uuid, one in below.items():
        cell, known = by_host.get(one["host"], "-"), above.get(uuid)
        if known is None or known["host"] != cell:
            told = f"the top registry has it in cell {known['host']}" if known else "the top registry does not have it"
            evidence = f"{one['name']} is claimed in cell {cell}, and {told}"
            found.append(
                finding("cell", one["name"], one["host"], evidence, "boot.yml with it in the spec", one.get("idle"))
            )
    for uuid, one in above.items():
        busy = one.get("lease_until") and not one.get("expired")
        if uuid not in below and one["host"] not in dead and not busy:
            evidence = f"the top registry has {one['name']} in cell {one['host']}, whose registry does not have it"
            remedy = f"boot.yml builds it, delete.yml -e names={one['name']} releases it"
            found.append(finding("cell", one["name"], one["host"], evidence, remedy, one.get("idle")))
    return found
