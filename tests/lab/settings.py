# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab consists of: names, addresses and folders. Nothing here touches the machine."""

from __future__ import annotations

import ipaddress
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BASE = Path("/var/lib/virtfleet-lab")
CACHE = Path("/var/cache/virtfleet-lab")
GUEST = Path("/var/lib/virtfleet/guest")
FIRST_HOST = 11  # the last octet of the first host
MOST_HOSTS = 200


class LabError(Exception):
    """What a user can understand and do something about, in one sentence."""


@dataclass(frozen=True)
class Lab:
    """One lab: the prefix of all its names (up to 8 characters) and a /16 of its own.

    The controller is .0.1, the hosts are .0.11 and up, .1.10 to .9.250 is for guests.
    """

    name: str
    subnet: ipaddress.IPv4Network

    @property
    def folder(self) -> Path:
        return BASE / self.name

    @property
    def state(self) -> Path:
        return self.folder / "lab.json"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def shared(self) -> Path:
        """The folder that all hosts see, read-only, as /srv/lab."""
        return self.folder / "shared"

    @property
    def switch(self) -> str:
        """The network namespace with the switch in it."""
        return f"{self.name}-switch"

    @property
    def uplink(self) -> str:
        """The controller's own port on the switch."""
        return f"{self.name}-up"

    @property
    def controller(self) -> str:
        return str(self.subnet[1])

    @property
    def pool(self) -> str:
        """The addresses for guests, as a network's pool is written."""
        return f"{self.subnet[256 + 10]}-{self.subnet[9 * 256 + 250]}"

    def host(self, number: int) -> Host:
        return Host(self, number)

    def by_name(self, name: str) -> Host:
        """Return the host of that name; LabError if the lab has no such host."""
        for host in self.hosts():
            if host.name == name:
                return host
        known = ", ".join(one.name for one in self.hosts()) or "none: run `lab up 3`"
        raise LabError(f"lab {self.name} has no host {name}, only {known}")

    def hosts(self) -> list[Host]:
        """Return the hosts that the lab was made with, running or not."""
        return [self.host(number) for number in range(1, self._written("hosts", 0) + 1)]

    def made_with(self) -> ipaddress.IPv4Network:
        """Return the network that the lab has; if there is no lab yet, the one that it would get."""
        return ipaddress.IPv4Network(self._written("net", self.subnet))

    def _written(self, key: str, otherwise: Any) -> Any:
        try:
            return json.loads(self.state.read_text())[key]
        except FileNotFoundError:
            return otherwise


@dataclass(frozen=True)
class Host:
    """One simulated compute host; numbers begin with 1."""

    lab: Lab
    number: int

    @property
    def name(self) -> str:
        return f"kvm{self.number}"

    @property
    def address(self) -> str:
        return str(self.lab.subnet[FIRST_HOST - 1 + self.number])

    @property
    def mac(self) -> str:
        packed = ipaddress.IPv4Address(self.address).packed
        return "02:00:" + ":".join(f"{byte:02x}" for byte in packed)

    @property
    def uuid(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.{self.lab.name}.lab.test"))

    @property
    def folder(self) -> Path:
        return self.lab.folder / "hosts" / self.name

    @property
    def disk(self) -> Path:
        """What the host has written: the upper layer of its root file system. It survives a power loss."""
        return self.folder / "disk"

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def log(self) -> Path:
        return self.folder / "boot.log"


def from_environment() -> Lab:
    """Return the lab that LAB_NAME and LAB_NET speak of: `vfl` and 10.77.0.0/16 unless told otherwise."""
    name, net = os.environ.get("LAB_NAME") or "vfl", os.environ.get("LAB_NET") or "10.77.0.0/16"
    if not (name.isalnum() and name.islower() and len(name) <= 8):
        raise LabError(f"LAB_NAME is '{name}': up to 8 small letters and digits, it becomes part of interface names")
    try:
        subnet = ipaddress.IPv4Network(net)
    except ValueError as error:
        raise LabError(f"LAB_NET: {error}")
    if subnet.prefixlen != 16:
        raise LabError(f"LAB_NET is {net}: it must be a /16, such as 10.77.0.0/16")
    return Lab(name, subnet)
