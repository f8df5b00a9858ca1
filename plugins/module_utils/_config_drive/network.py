# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a guest as cloud-init reads it: version 2 for NoCloud, network_data.json for OpenStack.

Links are found by MAC. The first port with a gateway gives the default route of its family. cloud-init 22.4 (Debian 12)
loses the whole network over a route to "default", so it is 0.0.0.0/0; and it takes ::/0 for ::/64 in version 2
(LP 2003562), so that is gateway6 there, which every release reads.
"""

from __future__ import annotations

import ipaddress
from typing import Any

DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}

Port = dict[str, Any]


def version_2(ports: tuple[Port, ...]) -> dict[str, Any]:
    """Return the network-config of NoCloud. The names are given by us, so that a netplan or networkd file can match."""
    gateways = _gateways(ports)
    ethernets = {}
    for index, port in enumerate(ports):
        link: dict[str, Any] = {"match": {"macaddress": port["mac"]}, "set-name": f"eth{index}"}
        if port.get("mtu"):
            link["mtu"] = port["mtu"]
        link.update(_addressing(port, gateways))
        ethernets[f"eth{index}"] = link
    return {"version": 2, "ethernets": ethernets}


def network_data(ports: tuple[Port, ...]) -> dict[str, Any]:
    """Return network_data.json of OpenStack."""
    gateways = _gateways(ports)
    networks = []
    for index, port in enumerate(ports):
        common = {"link": f"eth{index}", "network_id": port.get("network") or ""}
        for address in _addresses(port):
            networks.append({"id": f"network{len(networks)}", **common, **_static(port, address, gateways)})
        if not _addresses(port):
            networks.append({"id": f"network{len(networks)}", **common, "type": "ipv4_dhcp"})
    links = [_link(index, port) for index, port in enumerate(ports)]
    return {"links": links, "networks": networks, "services": [_dns(server) for server in _servers(ports)]}


def _gateways(ports: tuple[Port, ...]) -> dict[int, str]:
    """Return address family -> the address (not the gateway) whose subnet leads out: a guest has one way out."""
    chosen: dict[int, str] = {}
    for port in ports:
        for address in _addresses(port):
            if address.get("gateway"):
                chosen.setdefault(_family(address), address["address"])
    return chosen


def _addressing(port: Port, gateways: dict[int, str]) -> dict[str, Any]:
    addresses = _addresses(port)
    if not addresses:
        return {"dhcp4": True}
    result: dict[str, Any] = {"addresses": [f"{one['address']}/{one['prefix']}" for one in addresses]}
    for one in addresses:
        if gateways.get(_family(one)) == one["address"]:
            result.update(_way_out(one["gateway"], _family(one)))
    routes = [route for one in addresses for route in _routes(port, one)]
    if routes:
        result["routes"] = result.get("routes", []) + routes
    servers = _servers((port,))
    if servers:
        result["nameservers"] = {"addresses": servers}
    return result


def _way_out(gateway: str, family: int) -> dict[str, Any]:
    return {"gateway6": gateway} if family == 6 else {"routes": [{"to": DEFAULT[4], "via": gateway}]}


def _routes(port: Port, address: dict[str, Any]) -> list[dict[str, str]]:
    """Return the routes of the subnet that the address is of."""
    own = ipaddress.ip_address(address["address"])
    subnets = [one for one in port.get("subnets") or [] if own in ipaddress.ip_network(one["cidr"])]
    return [{"to": route["to"], "via": route["via"]} for one in subnets for route in one.get("routes") or []]


def _static(port: Port, address: dict[str, Any], gateways: dict[int, str]) -> dict[str, Any]:
    family = _family(address)
    routes = _routes(port, address)
    if gateways.get(family) == address["address"]:
        routes = [{"to": DEFAULT[family], "via": address["gateway"]}, *routes]
    return {
        "type": f"ipv{family}",
        "ip_address": address["address"],
        "netmask": str(ipaddress.ip_interface(f"{address['address']}/{address['prefix']}").netmask),
        "routes": [_openstack_route(route) for route in routes],
        "services": [_dns(server) for server in address.get("dns") or []],
    }


def _openstack_route(route: dict[str, str]) -> dict[str, str]:
    target = ipaddress.ip_network(route["to"])
    return {"network": str(target.network_address), "netmask": str(target.netmask), "gateway": route["via"]}


def _link(index: int, port: Port) -> dict[str, Any]:
    return {
        "id": f"eth{index}",
        "vif_id": port.get("id") or "",
        "type": "phy",
        "mtu": port.get("mtu"),
        "ethernet_mac_address": port["mac"],
    }


def _dns(server: str) -> dict[str, str]:
    return {"type": "dns", "address": server}


def _servers(ports: tuple[Port, ...]) -> list[str]:
    """Return the name servers of the ports, each once."""
    found = [server for port in ports for address in _addresses(port) for server in address.get("dns") or []]
    return list(dict.fromkeys(found))


def _addresses(port: Port) -> list[dict[str, Any]]:
    return port.get("addresses") or []


def _family(address: dict[str, Any]) -> int:
    return ipaddress.ip_address(address["address"]).version
