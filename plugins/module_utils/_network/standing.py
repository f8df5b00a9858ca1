# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which saved ports stand as they were plugged, for whoever asks what a host has. Private."""

from __future__ import annotations

from typing import NamedTuple

from . import members, saved
from .backends import BACKENDS
from .host import Host, World, read
from .plug import differences


class Look(NamedTuple):
    """What a host says of its ports.

    Attributes:
        standing: the ids of the ports that stand.
        owners: the uuids of the instances that ports are saved of.
        groups: the groups that rules of the ports name, each with the digest of the members that the host knows.
    """

    standing: set[str]
    owners: set[str]
    groups: dict[str, str]


def standing(world: World) -> set[str]:
    """Return the ids of the saved ports of which all stands: tap, bridge, kernel settings and the rules of the host."""
    ports = [port for port in world.saved.values() if port.type in BACKENDS]
    if not ports or not world.rules:
        return set()
    if differences(world, ports) == ({}, {}):
        return {port.id for port in ports}
    return {port.id for port in ports if differences(world, [port]) == ({}, {})}


def look(host: Host) -> Look:
    """Return what a host says of its ports.

    Where something is missing it is looked at again under the lock, for another run may be about to plug it.
    """
    if not saved.read(host.state_dir):
        return Look(set(), set(), {})
    world = read(host)
    if len(standing(world)) < len(world.saved):
        with saved.lock(host.run_dir):
            world = read(host)
    owners = {port.uuid for port in world.saved.values()}
    return Look(standing(world), owners, members.digests(world.saved.values(), world.members))
