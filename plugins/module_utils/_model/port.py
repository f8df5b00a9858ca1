# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network card of a guest and what it is plugged into. Private to this collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .record import known, many


@dataclass(frozen=True)
class Address:
    """One address of a port, with what the guest must know to use it."""

    address: str
    prefix: int
    gateway: str | None = None
    dns: list[str] = field(default_factory=list)
    cidr: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any], where: str = "the address") -> Address:
        """Return the address of a record."""
        return cls(**known(cls, record, where))


@dataclass(frozen=True)
class Port:
    """One network card: our own tap on a bridge of the host. `addresses` is empty until stage claim has given them."""

    id: str
    network: str
    type: str
    bridge: str
    mac: str
    tap: str
    mtu: int = 1500
    fixed_ip: str | None = None
    addresses: tuple[Address, ...] = ()
    subnets: list[dict[str, Any]] = field(default_factory=list)
    port_security: bool = True
    vni: int | None = None
    port_isolated: bool = False
    security_groups: list[dict[str, Any]] = field(default_factory=list)
    allowed_address_pairs: list[dict[str, Any]] = field(default_factory=list)
    dns_domain: str | None = None
    qos: list[dict[str, Any]] = field(default_factory=list)
    segmentation_id: int | None = None
    physical: str = ""
    create: bool = False
    router: bool = False
    floating_ip: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any], where: str = "the port") -> Port:
        """Return the port of a record."""
        given = known(cls, record, where)
        return cls(**{**given, "addresses": many(Address, given.get("addresses"), "address", where)})
