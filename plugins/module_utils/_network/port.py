# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a port is on its host: the value that is checked once, saved, and rendered to rules and links. Private."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from .._model import qos
from .._model.errors import ItemError
from . import ranges, rules
from .ranges import Range
from .rules import Rule

PORT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# What the kernel takes as a name, without the characters that mean something to nft and ip.
LINK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


@dataclass(frozen=True)
class Port:
    """One network card of one instance.

    `addresses` are the addresses that the guest may use, without prefix; empty means that nobody told us (DHCP of
    others). `gateways` are those of the network's IPv4 subnets with prefix ("10.0.0.1/24"). `tap` is named from `id`.
    `rules` are what its security groups let pass, if they are about it at all (`filtered`); with `stateful` answers to
    it pass too. `pairs` are what it may send from beside its own ("52:54:00:00:00:01 10.0.0.9/32").
    `zone` is the kernel's of the connections of its network, where addresses may be those of another network too.
    `served` are the ranges of its network that a DHCP server of ours serves, `dns_domain` that of the names in it.
    `egress` and `ingress` limit what the guest sends and receives: kilobits a second, kilobits at once. A tap with
    several `queues` is of another kind than one with one.
    `segment` is the VLAN of a network, on the interface `physical` of the host where that is said. With `create` the
    bridge is ours.
    With `router` every host is the router of the network, with the same MAC and address. `floating` is the address that
    others reach the guest at.
    `vni` and `local` are of vxlan: the number of the network, and the address from which this host carries it.
    """

    id: str
    instance: str
    uuid: str
    domain: str
    network: str
    type: str
    bridge: str
    mtu: int
    mac: str
    tap: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    port_security: bool = True
    filtered: bool = False
    stateful: bool = True
    rules: tuple[Rule, ...] = ()
    pairs: tuple[str, ...] = ()
    zone: int = 0
    isolated: bool = False
    vni: int = 0
    local: str = ""
    served: tuple[Range, ...] = ()
    dns_domain: str = ""
    hostname: str = ""
    egress: tuple[int, ...] = ()
    ingress: tuple[int, ...] = ()
    queues: int = 1
    segment: int = 0
    physical: str = ""
    create: bool = False
    router: bool = False
    floating: str = ""

    @property
    def routed(self) -> bool:
        """Say whether the host is the router of the port's network: its guests go out masqueraded."""
        return self.type == "nat" or self.router


NEW = {field.name: field.default for field in fields(Port)}
NEEDED = {name for name, default in NEW.items() if default is MISSING}


def tap_name(port_id: str) -> str:
    """Return the name of a port's tap: at most 15 characters, and without the prefixes that libvirt renames."""
    return "tap" + port_id.replace("-", "")[:11]


def needed(values: dict[str, Any], key: str, what: str, pattern: re.Pattern[str] | None = None) -> str:
    """Return a text that must be there and, if a pattern is given, must match it in whole."""
    text = str(values.get(key) or "")
    if not text:
        raise ItemError(f"{what} has no {key}: the stages before this one fill it", fault="request")
    if pattern and not pattern.fullmatch(text):
        raise ItemError(f"{what} has {key} '{text}', which is none: want {pattern.pattern}", fault="request")
    return text


def parsed(what: str, key: str, convert: Any, *values: Any) -> Any:
    """Return the converted value; what cannot be converted is the request's fault."""
    try:
        return convert(*values)
    except (ValueError, TypeError, LookupError) as error:
        raise ItemError(f"{what} has a wrong {key}: {error}", fault="request")


def gateways(subnets: list[dict[str, Any]], what: str) -> tuple[str, ...]:
    """Return the IPv4 gateways of the subnets, each with the prefix of its subnet."""
    found = []
    for subnet in subnets:
        cidr = parsed(what, "subnet", ipaddress.ip_network, subnet.get("cidr"))
        if not subnet.get("gateway") or cidr.version != 4:
            continue
        gateway = parsed(what, "gateway", ipaddress.ip_address, subnet["gateway"])
        if gateway not in cidr:
            raise ItemError(f"{what} has gateway {gateway} outside its subnet {cidr}", fault="request")
        found.append(f"{gateway}/{cidr.prefixlen}")
    return tuple(found)


def from_record(record: dict[str, Any], position: int) -> Port:
    """Return one port of an instance record, checked so that it can be written into rules as it is."""
    values = record["ports"][position]
    what = f"port {position + 1}"
    port_id = needed(values, "id", what, PORT_ID)
    tap = needed({"tap": tap_name(port_id), **values}, "tap", what, LINK_NAME)
    if tap != tap_name(port_id):
        raise ItemError(f"{what} has tap '{tap}', but its id makes it '{tap_name(port_id)}'", fault="request")
    mtu = parsed(what, "mtu", int, values.get("mtu") or 1500)
    if not 576 <= mtu <= 65521:
        raise ItemError(f"{what} has mtu {mtu}: want 576 to 65521", fault="request")
    ovn = values.get("type") == "ovn"  # which guards and filters its ports itself
    guarded = values.get("port_security") is not False and not ovn
    groups = values.get("security_groups")
    place = (str(record.get("project") or "default"), str(values.get("network")))
    mac = needed({"mac": str(values.get("mac") or "").lower()}, "mac", what, MAC)
    vni = parsed(what, "vni", int, values.get("vni") or 0)
    segment = parsed(what, "segmentation_id", int, values.get("segmentation_id") or 0)
    physical = needed(values, "physical", what, LINK_NAME) if values.get("physical") else ""
    router, floating = values.get("router") is True, None if ovn else values.get("floating_ip")
    limits = {} if ovn else parsed(what, "qos", qos.limits, values.get("qos") or [])  # whose limits are OVN's, too
    return Port(
        id=port_id,
        instance=record["name"],
        uuid=needed(record, "uuid", "the instance"),
        domain=str(record.get("domain") or record["name"]),
        network=needed(values, "network", what),
        type=needed(values, "type", what),
        bridge=needed(values, "bridge", what, LINK_NAME),
        mtu=mtu,
        mac=mac,
        tap=tap,
        addresses=tuple(
            str(parsed(what, "address", ipaddress.ip_address, each.get("address")))
            for each in values.get("addresses") or []
        ),
        gateways=gateways(values.get("subnets") or [], what),
        port_security=guarded,
        filtered=guarded and groups is not None,
        stateful=all(one.get("stateful", True) for one in groups or []),
        rules=rules.of_groups(groups or [], what, place) if guarded else (),
        isolated=values.get("port_isolated") is True and not ovn,
        egress=limits.get("egress", ()),
        ingress=limits.get("ingress", ()),
        queues=parsed(what, "number of queues", qos.queues, record),
        vni=vni,
        served=() if ovn else ranges.of_subnets(values.get("subnets") or [], what),
        dns_domain=ranges.domain_of(str(values.get("dns_domain") or ""), what),
        hostname=str(record.get("hostname") or record["name"]),
        # What is routed has ranges of its own on the host, and the answers from outside come without a zone.
        zone=0 if router else zone_of(vni, segment if physical else 0),
        router=router,
        floating=str(parsed(what, "floating_ip", ipaddress.IPv4Address, floating)) if floating else "",
        segment=segment,
        physical=physical,
        create=values.get("create") is True,
        pairs=tuple(sorted({pair(one, mac, what) for one in values.get("allowed_address_pairs") or [] if guarded})),
    )


def zone_of(vni: int, vlan: int) -> int:
    """Return the zone of the connections of a network whose addresses may be those of another too, 0 for none."""
    return (vni - 1) % 65535 + 1 if vni else 0x8000 + vlan if vlan else 0


def pair(values: dict[str, Any], mac: str, what: str) -> str:
    """Return an allowed address pair as a port keeps it."""
    network = parsed(what, "address pair", ipaddress.ip_network, values.get("ip_address"))
    other = str(values.get("mac_address") or mac).lower()
    return f"{needed({'mac': other}, 'mac', what, MAC)} {network}"


def of_record(record: dict[str, Any]) -> list[Port]:
    """Return the ports of an instance record, in order."""
    return [from_record(record, position) for position in range(len(record.get("ports") or []))]


def to_dict(port: Port) -> dict[str, Any]:
    """Return the port as what JSON can hold."""
    return {key: plain(value) for key, value in asdict(port).items()}


def plain(value: Any) -> Any:
    """Return the value with lists for tuples, as JSON gives it back."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def from_dict(values: dict[str, Any]) -> Port:
    """Return the port that to_dict was given; keys of a later version are left out."""
    given = {key: tuple(one) if isinstance(one, list) else one for key, one in values.items() if key in NEW}
    given["rules"] = tuple(map(rules.from_dict, given.get("rules") or ()))
    given["served"] = tuple(map(ranges.from_dict, given.get("served") or ()))
    lost = NEEDED.difference(given)
    if lost:
        raise TypeError(f"without {', '.join(sorted(lost))}")
    # By its fields at once, for a host may have saved hundreds; what is not given is the default that the class has.
    port = Port.__new__(Port)
    vars(port).update(given)
    return port


def link_local(mac: str) -> str:
    """Return the IPv6 link-local address that a guest makes from its MAC (RFC 4291, appendix A)."""
    octets = [int(octet, 16) for octet in mac.split(":")]
    eui = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    return str(ipaddress.IPv6Address(0xFE80 << 112 | int.from_bytes(bytes(eui), "big")))
