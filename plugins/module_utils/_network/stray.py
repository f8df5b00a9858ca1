# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the host and belongs to no known port, for the audit. Private."""

from __future__ import annotations

from collections.abc import Iterable

from . import bridge, links, ovs, vxlan
from .host import World


def stray(world: World, known: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Return what should not be there, by kind.

    - ports: ids of saved ports that are not among the known ones (only if these are given)
    - taps: taps with our mark whose port is not saved
    - missing: taps of saved ports that are not on the host, so that their guests cannot start
    - switched: ports of Open vSwitch with our mark whose port is not saved, where there are any
    - bridges: bridges of ours without a saved port; a nat network that nobody uses at the moment, not an error
    """
    marked = links.ours()
    bridges = {name for name, mark in marked.items() if mark == "nat" or mark.startswith((vxlan.MARK, bridge.MARK))}
    taps = {name: port_id for name, port_id in marked.items() if name not in bridges and port_id != "dhcp"}
    switched = ovs.strays(world.saved)
    return {
        "ports": sorted(set(world.saved) - set(known)) if known is not None else [],
        "taps": sorted(name for name, port_id in taps.items() if port_id not in world.saved),
        "missing": sorted(port.tap for port in world.saved.values() if not links.exists(port.tap)),
        "bridges": sorted(bridges - set(world.below)),
        **({"switched": switched} if switched else {}),
    }
