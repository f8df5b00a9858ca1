# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the tests see it: what the module `ports` does, as calls, and instance records with one port."""

from __future__ import annotations

import os
import subprocess
import uuid

from ansible_collections.virtfleet.compute.plugins.module_utils._bulk import each
from ansible_collections.virtfleet.compute.plugins.module_utils._network import links, members, plug, saved, unplug
from ansible_collections.virtfleet.compute.plugins.module_utils._network.host import Host, read

FOLDER = uuid.UUID("7f0e0000-0000-4000-8000-000000000000")


def sh(command):
    """Run a command and return what it prints."""
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def instance(number, bridge="vfnbr0", net=0, **port):
    """Return the record of an instance with one port."""
    port_id = str(uuid.uuid5(FOLDER, f"{number}/{bridge}"))
    cidr, gateway = f"172.29.{net}.0/24", f"172.29.{net}.1"
    address = f"172.29.{net}.{10 + number}"
    values = {
        "id": port_id,
        "network": "lan",
        "type": "nat",
        "bridge": bridge,
        "mtu": 1500,
        "mac": "52:54:00:" + ":".join(port_id[at : at + 2] for at in (0, 2, 4)),
        "addresses": [{"address": address, "prefix": 24, "gateway": gateway, "dns": [], "cidr": cidr}],
        "subnets": [{"cidr": cidr, "gateway": gateway, "pool": []}],
        "port_security": True,
        "tap": "tap" + port_id.replace("-", "")[:11],
        **port,
    }
    name = f"vfn-{number}"
    return {"name": name, "uuid": str(uuid.uuid5(FOLDER, name)), "domain": name, "ports": [values]}


class Node:
    """What the module `ports` does on one host, as calls."""

    def __init__(self, folder):
        self.host = Host(str(folder / "state"), str(folder / "run"), 2.0)

    def plug(self, *records, check_mode=False, serial=0, groups=None, host_ip=""):
        with saved.lock(self.host.run_dir):
            world = read(self.host, members.told(serial, groups or {}), host_ip)
            outcomes = each(records, lambda one: plug.plan(world, one))
            return outcomes if check_mode else plug.plug(self.host, world, list(records), outcomes)

    def unplug(self, *records, check_mode=False):
        with saved.lock(self.host.run_dir):
            world, marked = read(self.host), links.ours()
            outcomes = each(records, lambda one: unplug.plan(world, one, marked))
            return outcomes if check_mode else unplug.unplug(self.host, world, list(records), outcomes)

    def world(self):
        return read(self.host)


def clean():
    """Take away every link and table that a test made."""
    for name in os.listdir("/sys/class/net"):
        if name.startswith(("tap", "vfn", "vfx-", "vfi", "vfd-")):
            subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
    sh("nft flush ruleset")
