# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and routers as rows of OVN. Pure. Private."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from .row import Row, router_of, switch_of

Record = Mapping[str, Any]


def mac(text: str) -> str:
    """Return a MAC of our own for what has no guest, locally administered."""
    digest = hashlib.sha256(text.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, 0x76, 0x66, *digest[:3]))


def network_rows(network: Record) -> list[Row]:
    """Return the rows of a network: its switch, the way out of an external one, and DHCP of its subnets."""
    name, owner = network["network"], f"network/{network['network']}"
    switch = Row("Logical_Switch", owner, owner, {"name": switch_of(name)}, about={"name": name})
    rows = [switch]
    if network.get("external"):
        columns = {
            "name": f"{switch_of(name)}_out",
            "type": "localnet",
            "addresses": ["unknown"],
            "options": {"network_name": switch_of(name)},
        }
        rows.append(Row("Logical_Switch_Port", f"out/{name}", owner, columns, _in_switch(name)))
    served = [one for one in network["subnets"] if one.get("dhcp_server")]
    return [*rows, *(row for one in served for row in (_dhcp(network, one), _server(network, one)))]


def _in_switch(network: str) -> tuple[str, str, str]:
    """Return where the ports of a switch hang."""
    return ("Logical_Switch", f"network/{network}", "ports")


def dhcp_key(network: str, cidr: str) -> str:
    """Return the key of the DHCP options of a subnet."""
    return f"dhcp/{network}/{cidr}"


def _dhcp(network: Record, subnet: Record) -> Row:
    """Return what guests of a subnet are told; OVN answers them on their own host."""
    routes = [f"{one['to']},{one['via']}" for one in subnet.get("routes") or ()]
    routes += [f"0.0.0.0/0,{subnet['gateway']}"] if routes and subnet.get("gateway") else []
    dns = [one for one in subnet.get("dns") or () if ":" not in one]
    options = {
        "server_id": subnet["dhcp_server"],
        "server_mac": mac(subnet["dhcp_server"]),
        "lease_time": "86400",
        "mtu": str(network["mtu"]),
        **({"router": subnet["gateway"]} if subnet.get("gateway") else {}),
        **({"dns_server": f"{{{', '.join(dns)}}}"} if dns else {}),
        **({"domain_name": f'"{network["dns_domain"]}"'} if network.get("dns_domain") else {}),
        **({"classless_static_route": f"{{{', '.join(routes)}}}"} if routes else {}),
    }
    key, owner = dhcp_key(network["network"], subnet["cidr"]), f"network/{network['network']}"
    return Row("DHCP_Options", key, owner, {"cidr": subnet["cidr"], "options": options})


def _server(network: Record, subnet: Record) -> Row:
    """Return the port that OVN answers for with the server's MAC, on each host: guests ask names there and renew."""
    name, address = network["network"], subnet["dhcp_server"]
    columns = {
        "name": f"{switch_of(name)}_{address}",
        "type": "localport",
        "addresses": [f"{mac(address)} {address}"],
    }
    return Row("Logical_Switch_Port", f"server/{name}/{subnet['cidr']}", f"network/{name}", columns, _in_switch(name))


def router_rows(name: str, router: Record, networks: Mapping[str, Record]) -> list[Row]:
    """Return the rows of a router: a port in each of its networks, and the way out with SNAT."""
    owner = f"router/{name}"
    rows = [Row("Logical_Router", owner, owner, {"name": router_of(name)}, about={"name": name})]
    for one in router.get("networks") or ():
        inside = [subnet for subnet in networks[one]["subnets"] if subnet.get("gateway")]
        addresses = [f"{each['gateway']}/{each['cidr'].partition('/')[2]}" for each in inside]
        rows += _legs(name, one, addresses, mac(switch_of(one)), {})
        if router.get("external") and router.get("snat", True):
            rows += [_snat(name, each["cidr"], router["external_ip"]) for each in inside if ":" not in each["cidr"]]
    if router.get("external"):
        rows += _way_out(name, router, networks[router["external"]])
    return rows


def _legs(name: str, network: str, addresses: Iterable[str], whose: str, more: Mapping[str, str]) -> list[Row]:
    """Return the port of a router with this MAC, and that of the switch it is in, with more of its options.

    Neither MAC is of the router's name: who speaks to it goes on when another router takes its place.
    """
    owner, leg = f"router/{name}", f"{router_of(name)}_{switch_of(network)}"
    port = {"name": leg, "mac": whose, "networks": sorted(addresses)}
    options = {"router-port": leg, **more}
    into = {"name": f"{leg}_in", "type": "router", "addresses": ["router"], "options": options}
    return [
        Row("Logical_Router_Port", f"leg/{name}/{network}", owner, port, ("Logical_Router", owner, "ports")),
        Row(
            "Logical_Switch_Port",
            f"into/{name}/{network}",
            owner,
            into,
            _in_switch(network),
            about={"name": f"router {name}"},
        ),
    ]


def _snat(name: str, cidr: str, address: str) -> Row:
    """Return what guests of a subnet appear as outside."""
    columns = {"type": "snat", "logical_ip": cidr, "external_ip": address}
    return Row("NAT", f"snat/{name}/{cidr}", f"router/{name}", columns, ("Logical_Router", f"router/{name}", "nat"))


def _way_out(name: str, router: Record, external: Record) -> list[Row]:
    """Return the port of a router in its external network, on which hosts it is, and the default route."""
    owner, network = f"router/{name}", external["network"]
    subnet = next(one for one in external["subnets"] if within(router["external_ip"], one["cidr"]))
    address = f"{router['external_ip']}/{subnet['cidr'].partition('/')[2]}"
    # What is outside is told where external_ip and floating addresses are, also when another host becomes the gateway.
    legs = _legs(name, network, [address], mac(f"{network} {address}"), {"nat-addresses": "router"})
    place = ("Logical_Router_Port", f"leg/{name}/{network}", "gateway_chassis")
    chassis = [
        Row(
            "Gateway_Chassis",
            f"gateway/{name}/{host}",
            owner,
            {"name": f"{router_of(name)}_{host}", "chassis_name": host, "priority": 100 - at},
            place,
        )
        for at, host in enumerate(router["gateway_hosts"])
    ]
    route = {"ip_prefix": "0.0.0.0/0", "nexthop": subnet["gateway"]}
    where = ("Logical_Router", owner, "static_routes")
    outward = (
        [Row("Logical_Router_Static_Route", f"route/{name}", owner, route, where)] if subnet.get("gateway") else []
    )
    return [*legs, *chassis, *outward]


def within(address: str, cidr: str) -> bool:
    """Say whether an address is in a range."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
