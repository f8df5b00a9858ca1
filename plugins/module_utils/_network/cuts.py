# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports let pass less than before, so that their open connections are looked at. Private."""

from __future__ import annotations

from typing import Any

from .._model.errors import ItemError
from . import flows, members
from .host import World
from .members import Members
from .port import Port


def cut(world: World, final: dict[str, Port], groups: dict[str, Members]) -> None:
    """Cut the connections that the rules of a port no longer allow, where these have changed."""
    other = {key for key in groups if groups[key] != world.members.get(key)}
    suspects = [
        port
        for port in final.values()
        if port.filtered and (port is not world.saved.get(port.id) or not other.isdisjoint(groups_of(port)))
    ]
    changed = [port for port in suspects if view(port, groups) != view(world.saved.get(port.id), world.members)]
    try:
        flows.enforce(changed, groups)
    except ItemError as error:
        world.warnings.append(str(error))


def groups_of(port: Port) -> set[str]:
    """Return the groups that rules of the port name."""
    return {rule.group for rule in port.rules if rule.group}


def view(port: Port | None, groups: dict[str, Members]) -> Any:
    """Return what a port lets pass, with the members of the groups in it."""
    if port is None or not port.filtered:
        return None
    return port.rules, port.stateful, {key: one.addresses for key, one in members.of_ports([port], groups).items()}
