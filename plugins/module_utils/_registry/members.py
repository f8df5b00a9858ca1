# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in the security groups that hosts filter by, as the claims have it. Private to this collection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .._model import membership
from .sql import sa

if sa is not None:
    from .schema import ACTIONS, HOSTS, INSTANCES

Record = Mapping[str, Any]


def told(
    connection: Any, records: Iterable[Record], known: Mapping[str, Mapping[str, str]], leaving: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return by host what it is to be told: groups that rules of its instances name and whose members it does not know.

    Args:
        connection: in a transaction. What is read in it has a serial that grows with every claim and release.
        records: instance records that are about to be plugged.
        known: by host that answered the digests of the members that it knows, by group.
        leaving: uuids of instances that are about to go: they are no members any more.
    """
    if not any(known.values()) and not any(_keys(one) for one in records if not one.get("failed")):
        return {}
    claimed = list(_claimed(connection, leaving))
    wanted = {host: set(groups) for host, groups in known.items()}
    for host, record in claimed:
        if host in wanted:
            wanted[host].update(_keys(record))
    keys = set().union(*wanted.values())
    tunnels = {key for key in keys if key.startswith("vxlan//")}
    names = {key for key in keys if key.startswith("names//")}
    ports = [(record["project"], port) for _host, record in claimed for port in record["ports"]]
    groups = membership.members(keys - tunnels - names, ports)
    addresses = _host_addresses(connection) if tunnels else {}
    sources = ((addresses.get(host, ""), port) for host, record in claimed for port in record["ports"])
    groups.update(membership.peers(tunnels, sources))
    groups.update(membership.names(names, ((one["hostname"], port) for _host, one in claimed for port in one["ports"])))
    digests = {key: membership.digest(addresses) for key, addresses in groups.items()}
    serial = connection.execute(sa.select(sa.func.max(ACTIONS.c.id))).scalar() or 0
    news = {
        host: [key for key in keys if known.get(host, {}).get(key) != digests[key]] for host, keys in wanted.items()
    }
    return {
        host: {
            "serial": serial,
            "host_ip": addresses.get(host, ""),
            "groups": {key: groups[key] for key in sorted(keys)},
        }
        for host, keys in sorted(news.items())
        if keys
    }


def _host_addresses(connection: Any) -> dict[str, str]:
    """Return the address that each host is reached at by the others."""
    rows = connection.execute(sa.select(HOSTS.c.name, HOSTS.c.record))
    return {name: str(record.get("host_ip") or "") for name, record in rows}


def _keys(record: Record) -> set[str]:
    """Return the groups that rules of an instance name."""
    return membership.keys(record.get("ports") or (), record.get("project") or "default")


def _claimed(connection: Any, leaving: Collection[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the host, project and ports of every instance, as it is or shall be."""
    columns = (INSTANCES.c.uuid, INSTANCES.c.project, INSTANCES.c.host, INSTANCES.c.record, INSTANCES.c.pending)
    for uuid, project, host, record, pending in connection.execute(sa.select(*columns)):
        if uuid not in leaving:
            now = pending or record
            hostname = now.get("hostname") or now.get("name") or ""
            yield host, {"project": project, "hostname": hostname, "ports": now.get("ports") or ()}
