# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports and port groups in OVN's northbound database that belong to nothing, for the audit and the sweep. Private."""

from __future__ import annotations

import os

from .._files import locked
from .._model.errors import ItemError
from .._model.trace import Place, Trace
from . import apply
from .plan import plan
from .row import OWNER

NORTH = "/run/ovn/ovnnb_db.sock"


def find_ports(place: Place) -> list[Trace]:
    """Return every logical port of ours with its instance, on the host that has the database."""
    if not os.path.exists(NORTH):
        return []
    found = []
    for (table, key), row in sorted(apply.read(NORTH).rows.items()):
        uuid = apply.instance_of(row)
        if table == "Logical_Switch_Port" and uuid:
            name = key.partition("/")[2]
            evidence = f"OVN has the logical port {name} of {row['external_ids'].get('name', uuid)}"
            found.append(Trace("logical_port", name, evidence, f"ovn-nbctl lsp-del {name}", owner=uuid))
    return found


def find_groups(place: Place) -> list[Trace]:
    """Return the port groups of ours that no port is in and no rule names."""
    if not os.path.exists(NORTH):
        return []
    world = apply.read(NORTH)
    rows = {key: world.rows[("Port_Group", key)] for key in sorted(apply.unused_groups(world, set()))}
    told = "OVN has the port group {0} of {1}, no port is in it and no rule names it"
    return [
        Trace("logical_group", key, told.format(row["name"], key), f"ovn-nbctl pg-del {row['name']}")
        for key, row in rows.items()
    ]


def remove(place: Place, trace: Trace) -> None:
    """The port, with all that is of it, or the group is gone, if it is still nobody's."""
    with locked(os.path.join(place.run_dir, "ovn.lock")):
        world = apply.read(NORTH)
        owner = trace.name if trace.kind == "logical_group" else f"port/{trace.name}"
        if trace.kind == "logical_group" and owner not in apply.unused_groups(world, set()):
            raise ItemError(f"port group {trace.name} is in use now: nothing was removed")
        if not any(row["external_ids"][OWNER] == owner for row in world.rows.values()):
            return
        apply.apply(NORTH, plan(world, [], {owner}, {}))
