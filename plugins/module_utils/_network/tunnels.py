# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of the ports of a vxlan network on other hosts: forwarding and neighbour entries. Private.

- a frame to a port of another host goes to that host alone
- what is for all goes once to each host that has a port of the network
- who has an address is answered by the host itself, from its neighbour entries (neigh_suppress)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .._model.errors import ItemError
from .._model.membership import tunnel
from . import links
from .members import Members
from .port import Port
from .vxlan import link_name

BRIDGE = "bridge"
EVERYBODY = "00:00:00:00:00:00"
# ("fdb", link, MAC, host or "bridge" for the bridge's own table) or ("neighbour", bridge, address, MAC)
Entry = tuple[str, str, str, str]


def networks(ports: Iterable[Port]) -> dict[tuple[Any, ...], Port]:
    """Return a port of each vxlan network that the ports are on: what holds for it holds for all of them."""
    return {(port.network, port.vni, port.bridge, port.local): port for port in ports if port.type == "vxlan"}


def wanted(ports: Iterable[Port], known: Mapping[str, Members]) -> set[Entry]:
    """Return the entries that the ports need."""
    found: set[Entry] = set()
    for port in networks(ports).values():
        for peer in known.get(tunnel(port.network), Members()).addresses:
            host, mac, *addresses = peer.split(" ")
            if host == port.local:
                continue
            found |= {("fdb", link_name(port), EVERYBODY, host), ("fdb", link_name(port), mac, host)}
            # The bridge answers for a MAC only if it knows itself where that is, and does not flood what is for it.
            found.add(("fdb", link_name(port), mac, BRIDGE))
            found |= {("neighbour", port.bridge, address, mac) for address in addresses}
    return found


def actual(ports: Iterable[Port]) -> set[Entry]:
    """Return the entries that there are on the links of the ports."""
    found: set[Entry] = set()
    for link, bridge in sorted({(link_name(port), port.bridge) for port in ports if port.type == "vxlan"}):
        if links.exists(link):
            for one in answer("bridge", "-j", "fdb", "show", "dev", link):
                found |= {("fdb", link, one["mac"], one["dst"])} if one.get("dst") else set()
                found |= (
                    {("fdb", link, one["mac"], BRIDGE)} if one.get("state") == "static" and "dst" not in one else set()
                )
        if links.exists(bridge):
            for one in answer("ip", "-j", "neigh", "show", "dev", bridge, "nud", "permanent"):
                found |= {("neighbour", bridge, one["dst"], one["lladdr"])} if one.get("lladdr") else set()
    return {one for one in found if not one[2].startswith(("ff02:", "224."))}


def answer(*words: str) -> list[dict[str, Any]]:
    """Return what a command of iproute2 says in JSON."""
    return json.loads(links.iproute2(*words).stdout or "[]")


def line(entry: Entry, there: bool) -> tuple[str, str]:
    """Return the program and the line of its batch that makes or removes an entry."""
    kind, link, what, where = entry
    if kind == "neighbour":
        return "ip", f"neigh {'replace' if there else 'del'} {what} lladdr {where} dev {link} nud permanent"
    verb = ("append" if what == EVERYBODY else "replace") if there else "del"
    place = "master" if where == BRIDGE else f"dst {where} self"
    return "bridge", f"fdb {verb} {what} dev {link} {place} static"


def key(entry: Entry) -> tuple[Any, ...]:
    """Return what there can be only one entry of, but for those to everybody."""
    return (*entry[:3], entry[3] == BRIDGE)


def apply(want: set[Entry], have: set[Entry]) -> None:
    """The entries are the wanted ones; a MAC that moved to another host is replaced and not removed first."""
    moved = {key(one) for one in want}
    steps = [line(one, False) for one in sorted(have - want) if one[2] == EVERYBODY or key(one) not in moved]
    steps += [line(one, True) for one in sorted(want - have)]
    for program in ("bridge", "ip"):
        batch = "".join(f"{text}\n" for name, text in steps if name == program)
        if not batch:
            continue
        done = links.iproute2(program, "-force", "-batch", "-", stdin=batch)
        if done.returncode:
            raise ItemError(
                f"cannot tell this host where ports of a vxlan network are: {' '.join(done.stderr.split())}"
            )
