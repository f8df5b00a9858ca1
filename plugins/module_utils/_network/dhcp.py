# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP and DNS of a network on one host, as files of dnsmasq. Pure: the same ports give the same bytes. Private.

Each host has a server of its own for each network, with the same address and MAC as on the other hosts. It answers the
guests of its host and nobody else: a server is heard by taps only (`chains`), and it knows the MACs of this host only.
What names it knows are those of the whole network, as the controller tells them from the registry.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._model.membership import names_key
from .members import Members
from .ranges import Range

LINK = "vfd-"
HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def key_of(network: str) -> str:
    """Return what the server of a network is called on a host."""
    return hashlib.sha256(network.encode()).hexdigest()[:11]


def link_of(network: str) -> str:
    """Return the link that is in the bridge for the server, and the network namespace that it lives in."""
    return LINK + key_of(network)


def served(ports: Iterable[Any]) -> dict[str, list[Any]]:
    """Return the ports by network, of networks that have a server."""
    found: dict[str, list[Any]] = {}
    for port in ports:
        if port.served:
            found.setdefault(port.network, []).append(port)
    return found


def files(ports: list[Any], known: Mapping[str, Members], folder: str, user: str) -> dict[str, str]:
    """Return the files of the server of one network: its configuration, who gets what, and the names."""
    ports = sorted(ports, key=lambda port: port.id)
    return {
        "conf": configuration(ports[0], folder, user),
        "hosts": "".join(f"{line}\n" for port in ports for line in leases(port)),
        "names": "".join(f"{line}\n" for line in sorted(set(names(ports, known)))),
    }


def configuration(port: Any, folder: str, user: str) -> str:
    """Return the configuration; of every port of a network it is the same."""
    ours = {one.server for one in port.served}
    lines = [
        "# Written by virtfleet.compute.",
        f"port={53 if port.dns_domain else 0}",
        "interface=eth0",
        "except-interface=lo",
        "bind-interfaces",
        "no-hosts",
        "no-resolv",
        "no-ping",
        "leasefile-ro",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        f"user={user}",
        f"pid-file={folder}/pid",
        f"dhcp-hostsfile={folder}/hosts",
    ]
    if port.dns_domain:
        lines += [f"addn-hosts={folder}/names", f"domain={port.dns_domain}", f"local=/{port.dns_domain}/"]
        lines += ["domain-needed", "bogus-priv", "quiet-dhcp"]
        lines += [f"server={one}" for one in dict.fromkeys(dns for each in port.served for dns in each.dns)]
        lines = [line for line in lines if line.partition("server=")[2] not in ours or not line.startswith("server=")]
    for number, one in enumerate(port.served):
        lines += range_lines(f"r{number}", one, port.mtu)
    return "".join(f"{line}\n" for line in lines)


def range_lines(tag: str, one: Range, mtu: int) -> list[str]:
    """Return what the server tells guests of one range."""
    cidr = ipaddress.IPv4Network(one.cidr)
    routes = [route.replace(" via ", ",") for route in one.routes]
    # RFC 3442: who reads these routes does not read the router beside them.
    routes += [f"0.0.0.0/0,{one.gateway}"] if routes and one.gateway else []
    told = {"option:router": one.gateway, "option:dns-server": ",".join(one.dns), "option:mtu": str(mtu)}
    told["option:classless-static-route"] = ",".join(routes)
    return [
        f"dhcp-range=set:{tag},{cidr.network_address},static,{cidr.netmask},24h",
        *(f"dhcp-option=tag:{tag},{name}{',' if value else ''}{value}" for name, value in told.items() if value),
        *([] if one.gateway else [f"dhcp-option=tag:{tag},option:router"]),
        *([] if one.dns else [f"dhcp-option=tag:{tag},option:dns-server"]),
    ]


@functools.lru_cache(maxsize=64)
def span(cidr: str) -> tuple[int, int]:
    """Return the first and the last address of a range as numbers; all ports of a network ask for the same ones."""
    network = ipaddress.IPv4Network(cidr)
    return int(network[0]), int(network[-1])


def leases(port: Any) -> list[str]:
    """Return the line that gives a port its address."""
    inside = [span(one.cidr) for one in port.served]
    numbers = [(one, int(ipaddress.IPv4Address(one))) for one in port.addresses if ":" not in one]
    own = [one for one, number in numbers if any(first <= number <= last for first, last in inside)]
    name = [port.hostname] if HOSTNAME.fullmatch(port.hostname) else []
    return [",".join([port.mac, address, *name]) for address in own[:1]]


def names(ports: list[Any], known: Mapping[str, Members]) -> list[str]:
    """Return the lines of the hosts file: guests of this host, and of others as the controller tells them."""
    domain = ports[0].dns_domain
    if not domain:
        return []
    told = [[port.hostname, *port.addresses] for port in ports]
    told += [entry.split(" ") for entry in known.get(names_key(ports[0].network), Members()).addresses]
    entries = [entry for entry in told if HOSTNAME.fullmatch(entry[0])]
    return [f"{address} {name}.{domain} {name}" for name, *addresses in entries for address in addresses]


def chains(ports: Iterable[Any]) -> str:
    """Return what keeps the servers and everybody but guests apart; without servers nothing.

    The same address is on every host, so nobody may learn of it over the wire, and no guest of another host may ask.
    """
    links = sorted({link_of(network) for network in served(ports)})
    if not links:
        return ""
    names_of_links = ", ".join(f'"{link}"' for link in links)
    return (
        "    chain servers {\n        type filter hook forward priority -300; policy accept;\n"
        f'        iifname {{ {names_of_links} }} oifname != "tap*" drop\n'
        f'        oifname {{ {names_of_links} }} iifname != "tap*" drop\n    }}\n'
    )
