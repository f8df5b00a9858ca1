# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of instances as rows of OVN. Pure. Private."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from .._model import qos
from .groups import DROP_KEY, WAYS
from .networks import dhcp_key, within
from .row import Row

Record = Mapping[str, Any]

LIMIT = 1000  # the priority of a limit: there is no other


def port_rows(record: Record, port: Record, router: str) -> list[Row]:
    """Return the rows of a port of an instance; `router` is the one that its floating address is on."""
    owner, addresses = f"port/{port['id']}", [one["address"] for one in port["addresses"]]
    about = {"name": str(record["name"]), "virtfleet-instance": record["uuid"]}
    guarded = port.get("port_security") is not False
    columns = {
        "name": port["id"],
        "addresses": [" ".join([port["mac"], *addresses])] if addresses else [port["mac"], "unknown"],
        "port_security": security(port, addresses) if guarded else [],
    }
    told = dhcp_of(port, addresses)
    refers = {"dhcpv4_options": ("DHCP_Options", told)} if told else {}
    where = ("Logical_Switch", f"network/{port['network']}", "ports")
    rows = [Row("Logical_Switch_Port", owner, owner, columns, where, refers, about), *limit_rows(port, owner)]
    if port.get("dns_domain") and addresses and record.get("hostname"):
        name = str(record["hostname"]).lower()
        names = {one: " ".join(addresses) for one in (name, f"{name}.{port['dns_domain']}")}
        place = ("Logical_Switch", f"network/{port['network']}", "dns_records")
        rows.append(Row("DNS", f"dns/{port['id']}", owner, {"records": names}, place))
    if port.get("floating_ip"):
        inside = next(one for one in addresses if ":" not in one)
        nat = {"type": "dnat_and_snat", "logical_ip": inside, "external_ip": port["floating_ip"]}
        place = ("Logical_Router", f"router/{router}", "nat")
        rows.append(Row("NAT", f"floating/{port['id']}", owner, nat, place, about=about))
    return rows


def limit_rows(port: Record, owner: str) -> list[Row]:
    """Return what limits a port, a meter for each direction: what is over it is dropped."""
    place = ("Logical_Switch", f"network/{port['network']}", "qos_rules")
    rows = []
    for direction, (rate, burst) in sorted(qos.limits(port.get("qos") or ()).items()):
        way, side = WAYS[direction]
        most = {"rate": rate, "burst": burst}
        columns = {"direction": way, "priority": LIMIT, "match": f'{side} == "{port["id"]}"', "bandwidth": most}
        rows.append(Row("QoS", f"qos/{port['id']}/{direction}", owner, columns, place))
    return rows


def security(port: Record, addresses: Iterable[str]) -> list[str]:
    """Return what a port may send from: its own, the link-local address of its MAC, and the pairs."""
    own = " ".join([port["mac"], *addresses])
    pairs = [
        f"{one.get('mac_address') or port['mac']} {ipaddress.ip_network(one['ip_address'])}"
        for one in port.get("allowed_address_pairs") or ()
    ]
    return sorted({own, *(pair.removesuffix("/32").removesuffix("/128") for pair in pairs)})


def dhcp_of(port: Record, addresses: Iterable[str]) -> str:
    """Return the key of the DHCP options that a port is told, empty for none."""
    served = [one["cidr"] for one in port.get("subnets") or () if one.get("dhcp_server")]
    own = [cidr for one in addresses for cidr in served if ":" not in one and within(one, cidr)]
    return dhcp_key(port["network"], own[0]) if own else ""


def groups_of(record: Record, port: Record) -> set[str]:
    """Return the keys of the port groups that a port is in."""
    if port.get("port_security") is False:
        return set()
    project = record.get("project") or "default"
    return {DROP_KEY, *(f"group/{project}/{one['name']}" for one in port.get("security_groups") or ())}
