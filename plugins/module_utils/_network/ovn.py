# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend `ovn`: ports of OVN's integration bridge; what may pass and where to is OVN's business. Private.

The logical port is made where the northbound database is (module ovn_ports). Here its tap is put into the integration
bridge with the port's id, and OVN says when its flows are there.
"""

from __future__ import annotations

from .. import _ovsdb as ovsdb
from .._model.errors import ItemError
from .links import Link
from .port import Port

BRIDGE = "br-int"


def check(port: Port, addresses: dict[str, set[str]]) -> None:
    """Refuse a port on a host without OVN."""
    bridges = ovsdb.transact(ovsdb.SWITCH, "Open_vSwitch", [ovsdb.select("Bridge", ("name",))])[0]["rows"]
    if port.bridge not in [one["name"] for one in bridges]:
        way = "run hosts.yml, with group ovn_central in the inventory"
        raise ItemError(f"network '{port.network}' is ovn and this host has no bridge {port.bridge} of OVN: {way}")


def needs(port: Port) -> list[Link]:
    """Return the links that must stand below the tap: none is ours."""
    return []


def settings(port: Port) -> dict[str, str]:
    """Return the kernel settings that the port needs: none."""
    return {}
