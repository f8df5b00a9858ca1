# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend `bridge`: ports on a bridge that the host already has. Private."""

from __future__ import annotations

from .._model.errors import ItemError
from . import links
from .links import Link
from .port import Port


def check(port: Port, addresses: dict[str, set[str]]) -> None:
    """Refuse a port whose bridge this host does not have, or whose frames the bridge would drop."""
    kind = links.kind_of(port.bridge) if links.exists(port.bridge) else ""
    if kind != "bridge":
        have = f"is {'an' if kind == 'other' else 'a'} {kind} link, no bridge," if kind else "does not exist"
        way = "create it, or name another bridge in the network"
        raise ItemError(f"bridge {port.bridge} of network '{port.network}' {have} on this host: {way}")
    limit = int(links.attribute(port.bridge, "mtu") or 0)
    if port.mtu > limit:
        raise ItemError(f"mtu {port.mtu} of network '{port.network}' is more than the {limit} of bridge {port.bridge}")


def needs(port: Port) -> list[Link]:
    """Return the links that must stand below the tap: none is ours."""
    return []


def settings(port: Port) -> dict[str, str]:
    """Return the kernel settings that the port needs: none."""
    return {}
