# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unplugging ports: tap, then rules, then port file; a tap never has a reader without its rules. Private.

The file goes last: as long as it is there a run that was killed is taken up again.

The bridge of a nat network stays: it is the network's, not the port's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._bulk import Outcome, attempt
from .._model.errors import ItemError
from . import bridge, dnsmasq, floating, links, load, members, ovs, saved, vxlan
from .host import Host, World, read
from .port import Port, tap_name, to_dict


def ports_of(world: World, record: dict[str, Any]) -> list[Port]:
    """Return the saved ports of an instance: by its uuid, and by the ids in its record."""
    ids = {str(port.get("id")) for port in record.get("ports") or []}
    return [port for port in world.saved.values() if port.id in ids or port.uuid == record.get("uuid")]


def taps_of(world: World, record: dict[str, Any], marked: dict[str, str]) -> list[str]:
    """Return the taps that carry our mark and one of the instance's port ids, saved or only left over."""
    ids = {port.id for port in ports_of(world, record)}
    ids |= {str(port.get("id")) for port in record.get("ports") or []}
    return sorted(bare(ids & set(world.saved)) | {name for name, port_id in marked.items() if port_id in ids})


def bare(ids: Iterable[str]) -> set[str]:
    """Return the taps of these saved ports that a run made and did not come to mark."""
    names = {tap_name(one) for one in ids if links.exists(tap_name(one))}
    return {name for name in names if not links.attribute(name, "ifalias") and links.kind_of(name) == "tap"}


def plan(world: World, record: dict[str, Any], marked: dict[str, str]) -> Outcome:
    """Return what unplugging the ports of an instance would remove; nothing is removed."""
    ports = ports_of(world, record)
    taps = taps_of(world, record, marked)
    before = {"ports": {port.id: to_dict(port) for port in ports}, "links": taps} if ports or taps else {}
    left = [{**port, "plugged": False} for port in record.get("ports") or []]
    return Outcome(record["name"], bool(before), before=before, facts={"ports": left})


def unused(marked: dict[str, str], left: Iterable[Port]) -> list[str]:
    """Return the links of vxlan networks and the bridges that we made that no port of this host needs any more."""
    kinds = {"vxlan": vxlan, "bridge": bridge}
    needed = {link.name for port in left if port.type in kinds for link in kinds[port.type].needs(port)}
    marks = (vxlan.MARK, bridge.MARK)
    return sorted(name for name, mark in marked.items() if mark.startswith(marks) and name not in needed)


def off_switches(ports: list[Port]) -> dict[str, str]:
    """The ports are on no switch of Open vSwitch; return why one still is, by tap."""
    try:
        ovs.drop(ports)
    except ItemError as error:
        return {port.tap: str(error) for port in ovs.of(ports)}
    return {}


def remove(host: Host, ports: list[Port], taps: list[str] | None = None) -> dict[str, str]:
    """Remove taps, files and rules of the ports; return why a tap is still there, by tap."""
    marked = links.ours()
    world = read(host)
    ids = {port.id for port in ports}
    taps = [*bare(ids), *(name for name, mark in marked.items() if mark in ids)] if taps is None else taps
    errors = off_switches(ports)
    floating.remove(port.floating for port in ports if port.floating)
    errors.update(links.delete([one for one in taps if one not in errors]))
    gone = [port for port in ports if port.tap not in errors]
    left = {key: port for key, port in world.saved.items() if port not in gone}
    errors.update(links.delete(unused(marked, [*left.values(), *world.kept.values()])))
    groups = members.of_ports(left.values(), world.members)
    members.write(host.state_dir, groups)
    dnsmasq.apply(host.run_dir, left.values(), groups)
    if not world.rules or left != world.saved or groups != world.members:
        load.rules(host, world, left, {key: world.files.get(key, b"") for key in left}, groups)
    saved.remove(host.state_dir, gone)
    return errors


def unplug(host: Host, world: World, records: list[dict[str, Any]], outcomes: list[Outcome]) -> list[Outcome]:
    """Remove what is planned, in bulk; a tap that cannot be deleted keeps its file and its rules."""
    changing = [record for record, outcome in zip(records, outcomes) if outcome.changed]
    if not changing:
        return outcomes
    ports = [port for record in changing for port in ports_of(world, record)]
    errors = remove(host, ports, [tap for one in outcomes if one.changed for tap in one.before["links"]])

    def step(item: dict[str, Any]) -> Outcome:
        outcome = item["outcome"]
        for tap in outcome.before.get("links", []):
            if tap in errors:
                raise ItemError(f"cannot delete {tap}: {errors[tap]}")
        return outcome

    return [attempt({"name": outcome.name, "outcome": outcome}, step) for outcome in outcomes]
