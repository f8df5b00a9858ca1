# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in the groups that rules of this host name: what the controller told last, in one file. Private.

The controller takes it from the registry, in the transaction of the claims, with a serial that only grows. Runs may
come to a host in another order than that of their transactions: an older word never replaces a newer one.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._model.errors import ItemError
from .._model.membership import digest, names_key, tunnel
from .port import MAC, Port
from .saved import replace


@dataclass(frozen=True)
class Members:
    """The addresses and ranges of the members of one group, as they were with this serial."""

    serial: int = 0
    addresses: tuple[str, ...] = ()

    def of_version(self, version: int) -> list[str]:
        """Return those of one IP version."""
        return [one for one in self.addresses if (":" in one) == (version == 6)]


def path_of(state_dir: str) -> str:
    """Return the file."""
    return os.path.join(state_dir, "ports.members")


def read(state_dir: str) -> dict[str, Members]:
    """Return the groups by their key; a file that cannot be read counts as empty, which lets nobody in."""
    try:
        with open(path_of(state_dir), encoding="utf-8") as file:
            return {key: Members(one[0], tuple(one[1])) for key, one in json.load(file).items()}
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def content(groups: Mapping[str, Members]) -> str:
    """Return the file that keeps the groups."""
    return json.dumps({key: [one.serial, list(one.addresses)] for key, one in sorted(groups.items())}) + "\n"


def told(serial: Any, groups: Mapping[str, Iterable[str]]) -> dict[str, Members]:
    """Return what the controller tells, checked so that it can be written into rules."""
    try:
        number = int(serial or 0)
        found = {key: sorted({_checked(key, one) for one in many}) for key, many in groups.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise ItemError(f"the members of the security groups cannot be read: {error}", fault="request")
    return {key: Members(number, tuple(addresses)) for key, addresses in found.items()}


def _checked(key: str, text: str) -> str:
    """Return a member, or a port of another host ("host MAC addresses"), as it may be written into commands."""
    if key.startswith("names//"):
        name, *addresses = text.split(" ")
        return " ".join([name, *(str(ipaddress.ip_address(one)) for one in addresses)])
    if not key.startswith("vxlan//"):
        return str(ipaddress.ip_network(text))
    host, mac, *addresses = text.split(" ")
    if not MAC.fullmatch(mac):
        raise ValueError(f"{mac} is no MAC")
    return " ".join([str(ipaddress.ip_address(host)), mac, *(str(ipaddress.ip_address(one)) for one in addresses)])


def keys(ports: Iterable[Port]) -> set[str]:
    """Return the groups that rules of the ports name, and their vxlan networks."""
    found = set()
    for port in ports:
        if port.type == "vxlan":
            found.add(tunnel(port.network))
        if port.served and port.dns_domain and port.type != "nat":
            found.add(names_key(port.network))
        for rule in port.rules:
            found.add(rule.group)
    found.discard("")
    return found


def merged(known: Mapping[str, Members], new: Mapping[str, Members]) -> dict[str, Members]:
    """Return what is known with what is new, an older word left out."""
    newer = {key: one for key, one in new.items() if key not in known or known[key].serial <= one.serial}
    return {**known, **newer}


def digests(ports: Iterable[Port], known: Mapping[str, Members]) -> dict[str, str]:
    """Return the groups that rules of the ports name, each with the digest of whom the host knows in it."""
    return {key: digest(known.get(key, Members()).addresses) for key in sorted(keys(ports))}


def of_ports(ports: Iterable[Port], known: Mapping[str, Members]) -> dict[str, Members]:
    """Return what is known of the groups that rules of the ports name, and of no others."""
    return {key: known[key] for key in sorted(keys(ports)) if key in known}


def write(state_dir: str, groups: Mapping[str, Members]) -> None:
    """Save the groups; without any there is no file."""
    if groups:
        replace(path_of(state_dir), content(groups), 0o600)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path_of(state_dir))
