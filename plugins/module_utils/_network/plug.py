# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugging ports: address, then rules, then tap, then bridge, then proof. Private.

The order is the safety: frames wait in a tap while its guest is paused and are delivered when it resumes, so the rules
must stand before the tap has a reader. nft matches names, so they can be loaded before there is a tap.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .._bulk import Outcome, attempt, failed
from .._model.errors import ItemError
from . import (
    cuts,
    dnsmasq,
    floating,
    integration,
    links,
    load,
    members,
    nft,
    ovs,
    qos,
    saved,
    settings,
    tunnels,
    unplug,
)
from .backends import backend, links_of, settings_of, tap
from .host import Host, World, read
from .links import Link
from .port import Port, of_record, to_dict
from .standing import differences


def ports_of(world: World, record: dict[str, Any]) -> list[Port]:
    """Return the ports of a record, those of vxlan with the address that this host carries them from."""

    def local(port: Port) -> str:
        return world.saved[port.id].local if port.id in world.saved else ""

    return [
        replace(port, local=world.host_ip or local(port)) if port.type == "vxlan" else port
        for port in of_record(record)
    ]


def check(world: World, port: Port) -> None:
    """Refuse a port that this host cannot take."""
    for link in [*backend(port).needs(port), tap(port)]:
        why = links.refusal(link, links.read(link, world.addresses))
        if why:
            raise ItemError(why)
    backend(port).check(port, world.claimed)
    owner = world.taps.get(port.tap, port.id)
    if owner != port.id:
        raise ItemError(f"tap {port.tap} of port {port.id} is that of port {owner} already: use another name")


def facts(record: dict[str, Any], ports: list[Port], plugged: bool) -> dict[str, Any]:
    """Return what the next stages need to know of the ports."""
    told = []
    for values, port in zip(record.get("ports") or [], ports):
        gateway = next((one["gateway"] for one in values.get("addresses") or [] if one.get("gateway")), None)
        if not gateway and port.gateways:
            gateway = port.gateways[0].partition("/")[0]
        told.append({**values, "tap": port.tap, "bridge": port.bridge, "gateway": gateway, "plugged": plugged})
        if port.type == "ovn":
            told[-1]["host_csum"] = integration.computes_checksums(port.bridge)
    return {"ports": told}


def plan(world: World, record: dict[str, Any]) -> Outcome:
    """Return what plugging the ports of an instance would change; nothing is changed."""
    ports = ports_of(world, record)
    for port in ports:
        check(world, port)
        world.claim(port)
    before, after = differences(world, ports)
    for port in left(world, record, ports):
        before.setdefault("ports", {})[port.id], after.setdefault("ports", {})[port.id] = to_dict(port), None
    changed = before != after
    return Outcome(record["name"], changed, before=before, after=after, facts=facts(record, ports, not changed))


def left(world: World, record: dict[str, Any], ports: list[Port]) -> list[Port]:
    """Return the ports that the instance had and has no more, but those whose tap a guest has open.

    Stage domain takes the card from the guest, and then the port.
    """
    ids = {port.id for port in ports}
    gone = [port for port in world.saved.values() if port.uuid == record.get("uuid") and port.id not in ids]
    return [port for port in gone if not links.in_use(port.tap)]


def regrouped(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the groups whose members change for the rules of this host, before and after, with their addresses."""
    wanted = members.of_ports(world.ports.values(), world.told)
    known = {key: world.members[key] for key in wanted if key in world.members}
    told = {key: list(known[key].addresses) if key in known else None for key in wanted}
    after = {key: list(one.addresses) for key, one in wanted.items()}
    different = [key for key in wanted if told[key] != after[key]]
    return {key: told[key] for key in different}, {key: after[key] for key in different}


def restore(host: Host, world: World, ports: Iterable[Port]) -> None:
    """Put the port files and the members of groups back to what they were."""
    ports = list(ports)
    saved.write(host.state_dir, [world.saved[port.id] for port in ports if port.id in world.saved])
    saved.remove(host.state_dir, [port for port in ports if port.id not in world.saved])
    members.write(host.state_dir, world.members)


def save_and_filter(host: Host, world: World, ports: list[Port]) -> None:
    """Save the ports and load the rules of the host with them; if either fails, both are as before."""
    different = [port for port in ports if world.saved.get(port.id) != port]
    final = {**world.saved, **{port.id: port for port in ports}}
    groups = members.of_ports(final.values(), world.told)
    if not different and world.rules and groups == members.of_ports(final.values(), world.members):
        return
    try:
        saved.write(host.state_dir, different)
        members.write(host.state_dir, groups)
        files = {**world.files, **{port.id: saved.text(port) for port in different}}
        load.rules(host, world, final, files, groups)
    except ItemError:
        restore(host, world, different)
        raise
    cuts.cut(world, final, groups)


def stale(world: World, ports: list[Port]) -> set[str]:
    """Return the floating addresses that these ports had and have no more."""
    had = {world.saved[port.id].floating for port in ports if port.id in world.saved}
    return had - {port.floating for port in ports} - {""}


def connect(host: Host, world: World, ports: list[Port]) -> dict[str, str]:
    """Make the taps and what they hang on; return what does not stand when the deadline is over, by link."""
    actual = {link: links.read(link, world.addresses) for link in links_of(world.below, ports)}
    wanted = [link for link in actual if actual[link] != link]
    errors = links.make(wanted, {link.name: actual[link] for link in wanted})
    pending = links.unproven(wanted, host.deadline, errors)
    late = {name: errors.get(name) or unlike(name, link, host.deadline) for name, link in pending.items()}
    late.update(ovs.make([port for port in ports if port.tap not in late], host.deadline))
    for tap_name, why in floating.add([port for port in ports if port.tap not in late], world.addresses).items():
        late.setdefault(tap_name, why)
    return {**late, **qos.limit([port for port in qos.concerned(ports, world.saved) if port.tap not in late])}


def carry(world: World, ports: list[Port]) -> None:
    """The host knows where the ports of its vxlan networks are on other hosts."""
    mine = {**world.saved, **{port.id: port for port in ports}}.values()
    tunnels.apply(tunnels.wanted(mine, world.told), tunnels.actual(mine))


def unlike(name: str, link: Link | None, deadline: float) -> str:
    """Say what became of a link that is not as wanted, and about which ip did not complain."""
    state = f"is on bridge '{link.master}' with mtu {link.mtu}" if link else "does not exist"
    return f"{name} {state} after {deadline:g} s"


def prove(world: World, ports: list[Port], errors: dict[str, str], fatal: bool) -> set[str]:
    """Raise what keeps the ports from being plugged; return the taps that are there without being plugged."""
    settings.write(settings_of(ports))
    late = set()
    for link in links_of(world.below, ports):
        if link.name in errors and not fatal and link.kind == "tap" and links.exists(link.name):
            world.warnings.append(f"{link.name} is not plugged, and its guest goes on without: {errors[link.name]}")
            late.add(link.name)
        elif link.name in errors:
            raise ItemError(f"cannot plug {link.name}: {errors[link.name]}")
    for port in ports:
        if f"dhcp {port.network}" in errors:
            raise ItemError(errors[f"dhcp {port.network}"])
    return late


def apply(host: Host, world: World, asked: dict[str, list[Port]], outcomes: list[Outcome]) -> list[Outcome]:
    """Plug what is planned, in bulk; an instance that fails is undone and does not stop the others."""
    changing = [outcome.name for outcome in outcomes if outcome.changed]
    ports = [port for name in changing for port in asked[name]]
    if not changing and regrouped(world) == ({}, {}):
        return outcomes
    try:
        floating.remove(stale(world, ports))
        qos.lift(qos.concerned(ports, world.saved))
        save_and_filter(host, world, ports)
        errors = connect(host, world, ports)
        carry(world, ports)
        errors.update(integration.plug([port for port in ports if port.tap not in errors], host.deadline))
        final = {**world.saved, **{port.id: port for port in ports}}
        groups = members.of_ports(final.values(), world.told)
        servers = dnsmasq.apply(host.run_dir, final.values(), groups)
        errors.update({f"dhcp {network}": why for network, why in servers.items()})
    except ItemError as error:
        if not changing:
            raise
        with contextlib.suppress(ItemError):
            undo(host, world, ports)
        lost = {"error": str(error), "fault": error.fault, "changed": False, "facts": {}}
        return [replace(outcome, **lost) if outcome.changed else outcome for outcome in outcomes]

    def step(item: dict[str, Any]) -> Outcome:
        outcome = item["outcome"]
        if outcome.changed:
            late = prove(world, asked[outcome.name], errors, host.fatal)
            told = [{**port, "plugged": port["tap"] not in late} for port in outcome.facts.get("ports", [])]
            return replace(outcome, facts={"ports": told})
        return outcome

    done = [attempt({"name": outcome.name, "outcome": outcome}, step) for outcome in outcomes]
    undo(host, world, [port for one in failed(done) for port in asked.get(one.name, []) if one.name in changing])
    lost = {one.name for one in failed(done)}
    gone = [world.saved[key] for one in done if one.changed and one.name not in lost for key in dropped(world, one)]
    if gone:
        unplug.remove(host, gone)
    return done


def dropped(world: World, outcome: Outcome) -> list[str]:
    """Return the ids of the ports that an instance has no more."""
    return [key for key, port in (outcome.after.get("ports") or {}).items() if port is None and key in world.saved]


def undo(host: Host, world: World, ports: list[Port]) -> None:
    """Take away what this run made of the ports; one that stood before stays, for a guest may run on it."""
    new = [port for port in ports if port.id not in world.saved]
    if new:
        unplug.remove(host, new)


def warnings(outcomes: list[Outcome]) -> list[str]:
    """Return what keeps guests of nat networks from the outside although every port of theirs is plugged."""
    told = [port for outcome in outcomes if outcome.changed for port in outcome.facts.get("ports", [])]
    shown = bool(told) and not nft.tracks_bridges()  # to the forward chains, with all that guests of one bridge send
    bridges = sorted({port["bridge"] for port in told if port.get("type") == "nat" or port.get("router") or shown})
    return [
        f"{chain} drops what is forwarded by default: guests on {', '.join(bridges)} reach this host and not the "
        "outside (nor each other where net.bridge.bridge-nf-call-iptables is 1); accept them in that chain"
        for chain in (nft.blocked_forwarding() if bridges else [])
    ]


def plug(host: Host, world: World, records: list[dict[str, Any]], outcomes: list[Outcome]) -> list[Outcome]:
    """Plug the ports of instance records as planned."""
    planned = {outcome.name for outcome in outcomes if not outcome.error}
    asked = {record["name"]: ports_of(world, record) for record in records if record["name"] in planned}
    return apply(host, world, asked, outcomes)


def replay(host: Host, taps: list[str]) -> None:
    """Make the saved ports of these taps stand again: after a reboot, or when somebody flushed the rules."""
    with saved.lock(host.run_dir):
        world = read(host)
        ports = [port for port in world.saved.values() if port.tap in taps]
        for port in ports:
            check(world, port)
        before, after = differences(world, ports)
        done = apply(host, world, {"replay": ports}, [Outcome("replay", before != after, before=before, after=after)])
    for outcome in failed(done):
        raise ItemError(outcome.error, outcome.fault)
