# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps in the Open vSwitch of this host: put in, proven, taken out, each in one transaction. Private."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from .. import _ovsdb as ovsdb
from .port import Port

DATABASE = "Open_vSwitch"
OURS = "virtfleet"
POLL = 0.05


def ids(port: Port) -> dict[str, str]:
    """Return what the switch is told of a tap; OVN finds the logical port by `iface-id`."""
    return {"iface-id": port.id, "attached-mac": port.mac, "iface-status": "active", OURS: port.id}


def of_switch(ports: Iterable[Port]) -> list[Port]:
    """Return the ports that are in a switch."""
    return [port for port in ports if port.type == "ovn"]


def differing(ports: Iterable[Port]) -> dict[str, Any]:
    """Return by tap what the switch has of the ports that are not as they should be, nothing for what is missing."""
    mine = of_switch(ports)
    have = ovsdb.interfaces() if mine else {}
    return {port.tap: have.get(port.tap) for port in mine if not right(port, have.get(port.tap))}


def right(port: Port, have: dict[str, Any] | None) -> bool:
    """Say whether a tap is in the switch as its port wants it, and its flows are there."""
    known = (have or {}).get("ids", {})
    return ids(port).items() <= known.items() and known.get("ovn-installed") == "true"


def plug(ports: Iterable[Port], deadline: float) -> dict[str, str]:
    """The taps are in the switch and their flows are there; return what went wrong, by tap."""
    mine = of_switch(ports)
    wrong = differing(mine)
    if not wrong:
        return {}
    operations = [one for port in mine if port.tap in wrong for one in operations_of(port, wrong[port.tap])]
    ovsdb.transact(ovsdb.SWITCH, DATABASE, [*operations, COUNT])
    return unproven([port for port in mine if port.tap in wrong], deadline)


# What makes the switch look at its configuration.
COUNT = {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}


def operations_of(port: Port, have: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the operations that put a tap in, or tell the switch of it anew."""
    told = ovsdb.encoded(ids(port))
    if have is not None:
        where = [["name", "==", port.tap]]
        keys = ["set", sorted(ids(port))]
        again = [["external_ids", "delete", keys], ["external_ids", "insert", told]]
        return [{"op": "mutate", "table": "Interface", "where": where, "mutations": again}]
    name = port.tap
    return [
        {"op": "insert", "table": "Interface", "row": {"name": name, "external_ids": told}, "uuid-name": f"i{name}"},
        {
            "op": "insert",
            "table": "Port",
            "row": {"name": name, "interfaces": ["named-uuid", f"i{name}"]},
            "uuid-name": f"p{name}",
        },
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", port.bridge]],
            "mutations": [["ports", "insert", ["named-uuid", f"p{name}"]]],
        },
    ]


def unproven(ports: list[Port], deadline: float) -> dict[str, str]:
    """Wait until OVN says that the flows of every tap are there; return what it did not say it of, by tap."""
    end = time.monotonic() + deadline
    while True:
        late = differing(ports)
        if not late or time.monotonic() >= end:
            break
        time.sleep(POLL)
    names = {port.tap: port for port in ports}
    return {tap: why(names[tap], have, deadline) for tap, have in late.items()}


def why(port: Port, have: dict[str, Any] | None, deadline: float) -> str:
    """Say what became of a tap that is not plugged."""
    if have and have["error"]:
        return f"Open vSwitch says {have['error']}"
    state = "does not know it" if not have else "has no flows for it: does ovn-controller reach the central"
    return f"OVN {state} after {deadline:g} s (logical port {port.id})"


def unplug(taps: Iterable[str]) -> None:
    """No tap of these is in the switch, if they are ours."""
    mine = sorted({tap for tap in taps if OURS in ovsdb.interfaces().get(tap, {}).get("ids", {})})
    found = ovsdb.transact(
        ovsdb.SWITCH, DATABASE, [ovsdb.select("Port", ("_uuid",), [["name", "==", tap]]) for tap in mine]
    )
    ports = [row["_uuid"] for one in found for row in one.get("rows", ())]
    operations = [
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["ports", "includes", one]],
            "mutations": [["ports", "delete", one]],
        }
        for one in ports
    ]
    if operations:
        ovsdb.transact(ovsdb.SWITCH, DATABASE, [*operations, COUNT])


def stray(known: Iterable[str]) -> list[str]:
    """Return the taps in the switch that are ours and of no known port."""
    kept = set(known)
    return sorted(name for name, one in ovsdb.interfaces().items() if one["ids"].get(OURS, "") not in kept | {""})


def computes_checksums(bridge: str) -> bool:
    """Say whether the datapath of a bridge takes packets whose checksum is still to be computed: userspace does not."""
    asked = [ovsdb.select("Bridge", ("datapath_type",), [["name", "==", bridge]])]
    rows = ovsdb.transact(ovsdb.SWITCH, DATABASE, asked)[0]["rows"]
    return not any(one["datapath_type"] == "netdev" for one in rows)
