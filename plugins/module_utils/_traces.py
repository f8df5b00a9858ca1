# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of things that a run can leave on a host, in one table, and the sweep that takes them away. Private.

Adding a kind is one entry here: a function from a place to its traces, and one that removes a trace (None: never).
The order is that of the sweep: what could still use a thing goes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._backups import traces as backups
from ._bulk import Outcome
from ._files import plainly
from ._hypervisor import traces as hypervisor
from ._images import traces as images
from ._model.errors import ItemError
from ._model.trace import Place, Trace
from ._network import traces as network
from ._ovn import traces as ovn
from ._volumes import group_traces, pool_traces
from ._volumes import traces as volumes

Find = Callable[[Place], "list[Trace]"]


@dataclass(frozen=True)
class Kind:
    """How traces of one kind are found and, if they ever are, removed; `again` finds one of them by its name."""

    find: Find
    remove: Callable[[Place, Trace], None] | None = None
    again: Callable[[Place, str], Trace | None] | None = None


KINDS: dict[str, Kind] = {
    "domain": Kind(hypervisor.find_domains, hypervisor.remove_domain),
    "record": Kind(hypervisor.find_records),
    "port": Kind(network.find_ports, network.remove_port),
    "tap": Kind(network.find_taps, network.remove_link),
    "switch_port": Kind(network.find_switch_ports, network.remove_switch_port),
    "missing": Kind(network.find_missing),
    "bridge": Kind(network.find_bridges, network.remove_link),
    "logical_port": Kind(ovn.find_ports, ovn.remove),
    "logical_group": Kind(ovn.find_groups, ovn.remove),
    "dhcp": Kind(network.find_dhcp, network.remove_dhcp),
    "entry": Kind(network.find_entries, network.remove_entry),
    "rules": Kind(network.find_rules, network.remove_rules),
    "secret": Kind(hypervisor.find_secrets, hypervisor.remove_secret),
    "folder": Kind(volumes.find_folders, volumes.remove_folder),
    "unfinished": Kind(volumes.find_unfinished, volumes.remove_unfinished),
    "disk": Kind(volumes.find_disks),
    "pool_image": Kind(pool_traces.find_images, pool_traces.remove_image, pool_traces.find_again),
    "logical_volume": Kind(group_traces.find_volumes, group_traces.remove_volume),
    "copy": Kind(backups.find_copies, backups.remove_copy),
    "image": Kind(images.find_images, images.remove_image),
}


def look(place: Place) -> tuple[list[Trace], dict[str, str]]:
    """Return all traces, and by kind why it could not be looked at."""
    found: list[Trace] = []
    errors = {}
    for name, kind in KINDS.items():
        try:
            with plainly(f"the {name} of this host could not be read"):
                found += kind.find(place)
        except ItemError as error:
            errors[name] = str(error)
    return found, errors


def ordered(asked: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return the positions of the asked traces in the order of the sweep."""
    order = list(KINDS)
    kinds = [one.get("kind") for one in asked]
    return sorted(range(len(kinds)), key=lambda one: order.index(kinds[one]) if kinds[one] in KINDS else len(order))


def sweep(place: Place, asked: Mapping[str, Any], grace: int, rehearse: bool, going: Iterable[str] = ()) -> Outcome:
    """One trace is gone if it is still there, still stray as far as this host knows, and old enough.

    `going` are the uuids of the domains that this same sweep takes away before.
    """
    name, kind = asked["name"], asked["kind"]
    if kind not in KINDS or KINDS[kind].remove is None:
        raise ItemError(f"a sweep does not remove a {kind}: {asked.get('remedy') or 'look at it by hand'}", "request")
    trace = _found(place, asked)
    if trace is None:
        return Outcome(name)
    if trace.owner in place.domains and kind != "domain" and trace.owner not in going:
        raise ItemError(f"it belongs to a domain that is here ({trace.owner}): nothing was removed")
    if trace.age is not None and trace.age < grace:
        raise ItemError(f"it is {trace.age} s old and the grace time is {grace} s: nothing was removed")
    if not trace.removable:
        raise ItemError(f"{trace.evidence}: nothing was removed")
    if not rehearse:
        KINDS[kind].remove(place, trace)
    return Outcome(name, True, before={"kind": kind, "name": name, "evidence": trace.evidence})


def _found(place: Place, asked: Mapping[str, Any]) -> Trace | None:
    """Return the trace as it is now; a domain is asked for by its uuid and has no age here."""
    if asked["kind"] == "domain":
        told = Trace("domain", asked["name"], asked.get("evidence") or "", "", owner=asked.get("owner") or "")
        return told if told.owner in place.domains else None
    kind = KINDS[asked["kind"]]
    if kind.again:
        return kind.again(place, asked["name"])
    return next((one for one in kind.find(place) if one.name == asked["name"]), None)
