# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings of links (files below /proc/sys): read, compared, written. Private."""

from __future__ import annotations

import os

from .._model.errors import ItemError

SYSCTL = "/proc/sys/net"
ROUTES = "/proc/net/route"
# br_netfilter shows the frames of bridges to the ip and ip6 tables, and so to connection tracking.
SHOW_BRIDGED = {f"{SYSCTL}/bridge/bridge-nf-call-{kind}": "1" for kind in ("iptables", "ip6tables")}


def forwarding(link: str) -> str:
    """Return the file that lets IPv4 packets that come in on a link be routed on."""
    return f"{SYSCTL}/ipv4/conf/{link}/forwarding"


def without_ipv6(link: str) -> str:
    """Return the file that takes IPv6 from a link."""
    return f"{SYSCTL}/ipv6/conf/{link}/disable_ipv6"


def uplinks() -> list[str]:
    """Return the links with a default route: the answers to our guests come in there."""
    with open(ROUTES, encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return sorted({row[0] for row in rows if row[1] == "00000000" and row[7] == "00000000"})


def differing(wanted: dict[str, str]) -> dict[str, str]:
    """Return the settings that are not as wanted, with what they are; a kernel without IPv6 has none of IPv6."""
    found = {}
    for path, value in wanted.items():
        try:
            with open(path, encoding="ascii") as file:
                actual = file.read().strip()
        except FileNotFoundError:
            actual = value if path.startswith(f"{SYSCTL}/ipv6/") else "missing"
        if actual != value:
            found[path] = actual
    return found


def write(wanted: dict[str, str]) -> None:
    """Write the settings that differ."""
    for path in differing(wanted):
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(wanted[path])
        except OSError as error:
            raise ItemError(f"cannot set {os.path.relpath(path, SYSCTL)} to {wanted[path]}: {error.strerror}")
