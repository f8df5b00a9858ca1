# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that the ports of a guest are plugged, from the kernel and not from memory. Private to this collection."""

from __future__ import annotations

import contextlib
import os
import subprocess

from .._model.instance import Instance


def bridge_of(tap: str, sysfs: str, kind: str = "bridge") -> str:
    """Return the bridge that a tap is a port of; the kernel shows it when the tap is really in.

    Of a bridge of Open vSwitch only that knows.
    """
    if kind == "ovs":
        words = ["ovs-vsctl", "--timeout=10", "iface-to-br", tap]
        with contextlib.suppress(OSError):
            return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        return ""
    try:
        return os.path.basename(os.readlink(os.path.join(sysfs, tap, "brport", "bridge")))
    except OSError:
        return ""


def loaded_rules(run_dir: str) -> str:
    """Return the digest of the rules that stage port loaded last, as it noted it; empty after a reboot."""
    try:
        with open(os.path.join(run_dir, "ports.rules"), encoding="ascii") as file:
            return file.read().partition(" ")[0].strip()
    except OSError:
        return ""


def unplugged(instance: Instance, sysfs: str, run_dir: str, rules_digest: str = "", fatal: bool = True) -> str:
    """Return why a guest must not run yet: which port is not on its bridge, or that other rules are loaded.

    Where a port that is not plugged is not `fatal`, its tap has to be there: without it no guest starts.
    """
    for port in instance.ports:
        bridge = bridge_of(port.tap, sysfs, port.type)
        if not os.path.exists(os.path.join(sysfs, port.tap)):
            return f"tap {port.tap} of network {port.network} is missing: stage port makes it"
        if bridge != port.bridge and fatal:
            where = f"is on bridge '{bridge}', not {port.bridge}" if bridge else f"is not on its bridge {port.bridge}"
            return f"tap {port.tap} of network {port.network} {where}: run stage port again"
    if instance.ports and rules_digest and loaded_rules(run_dir) != rules_digest:
        return f"other rules than {rules_digest[:12]} are loaded for the ports of this host: run stage port again"
    return ""
