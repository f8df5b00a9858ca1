# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of this host that are made ahead of their ports, and stay when the last port goes. Private.

Such a network is saved as the port that it could have: what stands below that port's tap is the network. It has no tap
and no rules.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import asdict, replace
from typing import Any

from .._bulk import Outcome
from .._model.errors import ItemError
from . import links, saved, settings
from .backends import backend, below_of
from .host import Host, World
from .links import Link
from .port import Port, from_record, to_dict

# uuid5(NAMESPACE_URL, "urn:virtfleet:network")
NAMESPACE = uuid.UUID("f9477e00-dac5-5b67-b9a2-1192673435bf")
MOST_USERS = 5


def holder(network: dict[str, Any], host_ip: str) -> Port:
    """Return the port that stands for a network; `host_ip` is where the others reach this host."""
    values = {**network, "id": str(uuid.uuid5(NAMESPACE, network["name"])), "mac": "02:00:00:00:00:00"}
    named = {"name": network["name"], "uuid": values["id"], "ports": [{**values, "network": network["name"]}]}
    port = from_record(named, 0)
    return replace(port, local=host_ip) if port.type == "vxlan" else port


def users_of(world: World, network: str) -> list[str]:
    """Return the instances that have a port of the network on this host."""
    return sorted({port.instance for port in world.saved.values() if port.network == network})


def differences(world: World, port: Port, known: Port | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what of a network is not as it should be, before and after."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if known != port:
        before["network"], after["network"] = (to_dict(known) if known else None), to_dict(port)
    for link in below_of(world.below, [port]):
        actual = links.read(link, world.addresses)
        if actual != link:
            before[link.name], after[link.name] = (asdict(actual) if actual else None), asdict(link)
    wanted = backend(port).settings(port)
    for path, value in settings.differing(wanted).items():
        before[path], after[path] = value, wanted[path]
    return before, after


def plan(world: World, network: dict[str, Any], host_ip: str) -> Outcome:
    """Return what making a network would change; from then on the world counts it as kept."""
    port = holder(network, host_ip)
    for link in backend(port).needs(port):
        why = links.refusal(link, links.read(link, world.addresses))
        if why:
            raise ItemError(why)
    backend(port).check(port, world.claimed)
    known = world.kept.get(port.id)
    world.hold(port)
    before, after = differences(world, port, known)
    facts = {"bridge": port.bridge, "users": users_of(world, port.network), "stands": not set(after) - {"network"}}
    return Outcome(network["name"], before != after, before=before, after=after, facts=facts)


def provide(host: Host, world: World, network: dict[str, Any], host_ip: str) -> Outcome:
    """The network stands and is kept; one that cannot be made is not kept and leaves nothing."""
    port = holder(network, host_ip)
    known = world.kept.get(port.id)
    outcome = plan(world, network, host_ip)
    if not outcome.changed:
        return outcome
    missing = [link.name for link in below_of(world.below, [port]) if not links.exists(link.name)]
    saved.write(host.state_dir, [port], saved.NETWORKS)
    try:
        make(host, world, port)
    except ItemError:
        links.delete([name for name in missing if links.exists(name)])
        (saved.write if known else saved.remove)(host.state_dir, [known or port], saved.NETWORKS)
        world.forget(port, known)
        raise
    return replace(outcome, facts={**outcome.facts, "stands": True})


def make(host: Host, world: World, port: Port) -> None:
    """What stands below the taps of a network is as wanted."""
    wanted = below_of(world.below, [port])
    errors = links.make(wanted, {link.name: links.read(link, world.addresses) for link in wanted})
    settings.write(backend(port).settings(port))
    for name in links.unproven(wanted, host.deadline, errors):
        raise ItemError(f"cannot make {name}: {errors.get(name) or f'it is not as wanted after {host.deadline:g} s'}")


def own_links(world: World, port: Port) -> list[Link]:
    """Return the links of ours that only this network needs, upper ones last."""
    marked = links.ours()
    others = [*world.saved.values(), *(one for one in world.kept.values() if one.id != port.id)]
    needed = {link.name for link in below_of(world.below, others)}
    mine = [link for link in backend(port).needs(port) if link.name not in needed]
    return [link for link in reversed(mine) if f"{links.OURS}{marked.get(link.name)}" == link.alias]


def plan_removal(world: World, network: dict[str, Any], host_ip: str) -> Outcome:
    """Return what deleting a network would remove; one that is in use is refused, with who uses it."""
    port = holder(network, host_ip)
    users = users_of(world, port.network)
    if users:
        told = ", ".join(users[:MOST_USERS]) + (f" and {len(users) - MOST_USERS} more" if users[MOST_USERS:] else "")
        raise ItemError(f"network '{port.network}' is used by {told} on this host: delete them first", fault="request")
    mine = own_links(world, port)
    inside = set(ports_in(port.bridge)) - {one for link in mine for one in (link.name, link.uplink)} if mine else set()
    if inside:
        raise ItemError(
            f"bridge {port.bridge} of network '{port.network}' has {', '.join(sorted(inside))}: take it out"
        )
    known = {"network": to_dict(world.kept[port.id])} if port.id in world.kept else {}
    before = {**known, **{link.name: asdict(link) for link in mine}}
    facts = {"bridge": port.bridge, "users": [], "stands": bool(mine)}
    return Outcome(network["name"], bool(before), before=before, facts=facts)


def withdraw(host: Host, world: World, network: dict[str, Any], host_ip: str) -> Outcome:
    """The network is gone from this host: its links, then its file."""
    outcome = plan_removal(world, network, host_ip)
    port = holder(network, host_ip)
    errors = links.delete([name for name in outcome.before if name != "network"])
    for name, why in errors.items():
        raise ItemError(f"cannot delete {name}: {why}")
    saved.remove(host.state_dir, [port], saved.NETWORKS)
    world.forget(port)
    return replace(outcome, facts={**outcome.facts, "stands": False})


def ports_in(bridge: str) -> list[str]:
    """Return the links that are in the bridge."""
    try:
        return sorted(os.listdir(os.path.join(links.SYSFS, bridge, "brif")))
    except OSError:
        return []
