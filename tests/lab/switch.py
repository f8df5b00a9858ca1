# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch between the hosts: a bridge in a network namespace of its own, so that no firewall of this machine
looks at what crosses it. The controller has a port on it, and so has each host, named like the host."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from commands import run
from settings import Host, Lab, LabError

BRIDGE = "switch"


def exists(lab: Lab) -> bool:
    """Tell whether the switch is there."""
    return Path("/run/netns", lab.switch).exists()


def ensure(lab: Lab) -> None:
    """The switch runs and the controller has its address on it."""
    if exists(lab):
        return
    run("ip", "netns", "add", lab.switch)
    run("ip", "-n", lab.switch, "link", "add", BRIDGE, "type", "bridge", "forward_delay", 0)
    run("ip", "-n", lab.switch, "link", "set", BRIDGE, "up")
    run("ip", "link", "add", lab.uplink, "type", "veth", "peer", "name", "controller", "netns", lab.switch)
    connect(lab, "controller")
    run("ip", "address", "add", f"{lab.controller}/{lab.subnet.prefixlen}", "dev", lab.uplink)
    run("ip", "link", "set", lab.uplink, "up")


def refuse_taken(lab: Lab) -> None:
    """LabError if this machine is in the network of the lab already: two labs there would take each other's frames."""
    for link in json.loads(run("ip", "-j", "-4", "address", "show")):
        for one in link.get("addr_info", ()):
            if ipaddress.IPv4Address(one["local"]) in lab.subnet and link["ifname"] != lab.uplink:
                where = f"{link['ifname']} of this machine has {one['local']}"
                raise LabError(f"LAB_NET is {lab.subnet}, but {where}: give this lab another /16, such as 10.99.0.0/16")


def connect(lab: Lab, port: str) -> None:
    """The port is plugged into the switch."""
    run("ip", "-n", lab.switch, "link", "set", port, "master", BRIDGE, "up")


def set_cable(host: Host, state: str) -> None:
    """The cable of a host is up or down; the host itself notices no more than the carrier."""
    run("ip", "-n", host.lab.switch, "link", "set", host.name, state)


def is_cut(host: Host) -> bool:
    """Tell whether the cable of a host is down."""
    return "state DOWN" in run("ip", "-n", host.lab.switch, "-o", "link", "show", host.name, check=False)


def unplug(host: Host) -> None:
    """The host has no cable any more, so that not even a goodbye of its kernel gets out."""
    run("ip", "-n", host.lab.switch, "link", "delete", host.name, check=False)


def remove(lab: Lab) -> None:
    """There is no switch and no port of it."""
    run("ip", "link", "delete", lab.uplink, check=False)
    if exists(lab):
        run("ip", "netns", "delete", lab.switch)
