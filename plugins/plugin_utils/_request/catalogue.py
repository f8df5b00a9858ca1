# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What instances name, checked beyond what a schema can say. Private to this collection."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from ...module_utils._model import naming, schema
from . import routers, security
from .problems import Path, Problem, quoted
from .ranges import Address, Subnet, address, subnet

Catalogue = dict[str, dict[str, Any]]


def check(sound: dict[str, Catalogue], groups: dict[str, Any], projects: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with the entries that fit the schema.

    `groups` is every security group and `projects` every project there is.
    """
    return [
        *images(sound["virtfleet_images"], projects),
        *networks(sound["virtfleet_networks"]),
        *owners(sound["virtfleet_networks"], projects),
        *routers.check(sound["virtfleet_routers"], sound["virtfleet_networks"]),
        *security.check(sound["virtfleet_security_groups"], groups),
        *server_groups(sound["virtfleet_server_groups"]),
        *keypairs(sound["virtfleet_keypairs"]),
        *volume_types(sound["virtfleet_volume_types"]),
    ]


def images(defined: Catalogue, projects: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with whose the images are."""
    for name, image in defined.items():
        path = ("virtfleet_images", name)
        visibility, owner, members = image.get("visibility", "public"), image.get("owner"), image.get("members", [])
        if visibility != "public" and owner is None:
            yield Problem(path, f"has no 'owner': a {visibility} image belongs to a project")
        if members and visibility != "shared":
            yield Problem((*path, "members"), f"does not go with visibility {visibility}: only shared images have them")
        for place, project in [(("owner",), owner), *((("members", i), one) for i, one in enumerate(members))]:
            if project is not None and project not in projects:
                there = dict.fromkeys(sorted(projects))
                yield security.not_there((*path, *place), project, "virtfleet_projects", there)


def hidden(image: dict[str, Any], name: str, project: str, path: Path) -> Iterator[Problem]:
    """Yield that the image is not for the project, as Glance would not show it to that."""
    if image["visibility"] == "public" or project in (image.get("owner"), *image["members"]):
        return
    way_out = "add it to the image's members" if image["visibility"] == "shared" else "make the image shared or public"
    says = (
        f"is {quoted(name)}, which is {image['visibility']} to project {quoted(image.get('owner') or 'none')} "
        f"and not for project {quoted(project)}: {way_out}, or take another"
    )
    yield Problem(path, says)


TYPE_NEEDS = {"rbd": ("pool",), "lvm": ("volume_group",), "nbd": ("server",), "iscsi": ("server", "target")}


def volume_types(defined: Catalogue) -> Iterator[Problem]:
    """Yield what is wrong with each kind of volumes."""
    for name, kind in defined.items():
        for key in TYPE_NEEDS.get(kind["backend"], ()):
            if key not in kind:
                yield Problem(("virtfleet_volume_types", name), f"has no '{key}': backend {kind['backend']} needs it")
        if "encryption" in kind and "chap_user" in kind:
            says = "does not go with 'chap_user': a volume has one passphrase; let the target know its hosts by address"
            yield Problem(("virtfleet_volume_types", name, "encryption"), says)


def networks(defined: Catalogue) -> Iterator[Problem]:
    """Yield what is wrong with each network, and private networks that a host could not tell apart."""
    for name, network in defined.items():
        path = ("virtfleet_networks", name)
        yield from bridge_problems(path, network, defined)
        yield from tunnel_problems(path, network, defined)
        yield from dhcp_problems(path, network)
        yield from qos_problems((*path, "qos"), network.get("qos", []))
        if network["type"] == "nat" and not network.get("subnets"):
            yield Problem(path, "has no 'subnets': type nat needs at least one")
        for index, one in enumerate(network.get("subnets", [])):
            yield from one_subnet(one, (*path, "subnets", index))
        yield from overlaps(name, network)
    private = {name: network for name, network in defined.items() if network["type"] == "nat" or network.get("router")}
    for first, second in combinations(private, 2):
        for a, b in ((a, b) for a in ranges(private[first]) for b in ranges(private[second])):
            if a.version == b.version and a.overlaps(b):
                yield Problem(
                    ("virtfleet_networks", second),
                    f"has {b}, which overlaps {a} of network {quoted(first)}: "
                    "private networks of one host need ranges of their own",
                )


def owners(defined: Catalogue, projects: dict[str, Any]) -> Iterator[Problem]:
    """Yield the networks of projects that there are not."""
    for name, network in defined.items():
        if network.get("project", naming.DEFAULT_PROJECT) not in projects:
            there = dict.fromkeys(sorted(projects))
            path = ("virtfleet_networks", name, "project")
            yield security.not_there(path, network["project"], "virtfleet_projects", there)


def made(network: dict[str, Any]) -> bool:
    """Say whether the bridge of a network is one that we make."""
    return bool(network.get("create") or network.get("physical"))


def bridge_problems(path: Path, network: dict[str, Any], defined: Catalogue) -> Iterator[Problem]:
    """Yield what is wrong with the bridge of a network, and with its VLAN."""
    kind = network["type"]
    if kind in ("bridge", "ovs") and "bridge" not in network and not made(network):
        yield Problem(path, f"has no 'bridge': type {kind} needs the name of a bridge that is on the hosts")
    for key, kinds in (
        ("create", ("bridge",)),
        ("physical", ("bridge",)),
        ("segmentation_id", ("bridge", "ovs")),
        ("router", ("vxlan",)),
    ):
        if network.get(key) and kind not in kinds:
            yield Problem((*path, key), f"does not go with type {kind}: it is one of {' and '.join(kinds)}")
    if network.get("router") and not any(one.version == 4 for one in ranges(network)):
        yield Problem(path, "has no subnet of IPv4: a router needs one with a gateway")
    if kind == "bridge" and network.get("create") and network.get("segmentation_id") and not network.get("physical"):
        yield Problem(path, "has no 'physical': a VLAN on a bridge that we make needs the interface that carries it")
    if kind == "ovs" and network.get("port_security", True):
        says = "is true: type ovs has no rules of ours, neither port security nor security groups; say false"
        yield Problem((*path, "port_security"), says)
    place = (network.get("physical"), network.get("segmentation_id"))
    same = [name for name, one in defined.items() if (one.get("physical"), one.get("segmentation_id")) == place]
    if place[0] and same[0] != path[-1]:
        told = f"VLAN {place[1]} of it" if place[1] else "it"
        yield Problem((*path, "physical"), f"is {quoted(place[0])}, and network {quoted(same[0])} has {told} already")


def tunnel_problems(path: Path, network: dict[str, Any], defined: Catalogue) -> Iterator[Problem]:
    """Yield what is wrong with the number of a network in the packets of the hosts."""
    if network["type"] != "vxlan":
        if "vni" in network:
            yield Problem((*path, "vni"), f"does not go with type {network['type']}: only vxlan has one")
        return
    if "vni" not in network:
        yield Problem(path, "has no 'vni': type vxlan needs a number from 1 to 16777215 of its own")
        return
    same = [name for name, one in defined.items() if one["type"] == "vxlan" and one.get("vni") == network["vni"]]
    if same[0] != path[-1]:
        yield Problem(
            (*path, "vni"), f"is {network['vni']}, which is that of network {quoted(same[0])}: give each its own"
        )


def dhcp_problems(path: Path, network: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the DHCP server of a network."""
    if not network.get("dhcp"):
        if "dns_domain" in network:
            yield Problem((*path, "dns_domain"), "needs 'dhcp: true' beside it: names are served by the DHCP server")
        told = [at for at, one in enumerate(network.get("subnets", [])) if "dhcp_server" in one]
        for at in told:
            yield Problem((*path, "subnets", at, "dhcp_server"), "needs 'dhcp: true' of its network")
        return
    if not any(one.version == 4 for one in ranges(network)):
        yield Problem((*path, "dhcp"), "needs a subnet of IPv4: IPv6 is told by the config drive")
    for at, one in enumerate(network.get("subnets", [])):
        cidr, server = subnet(one["cidr"]), one.get("dhcp_server")
        if cidr is None:
            continue
        if server is not None and (cidr.version == 6 or not usable(server, cidr) or server == gateway_of(one, cidr)):
            says = f"is {quoted(server)}, which is no address for a DHCP server in {cidr}: take a free one of IPv4"
            yield Problem((*path, "subnets", at, "dhcp_server"), says)
        elif cidr.version == 4 and cidr.num_addresses < 8:
            yield Problem((*path, "subnets", at, "cidr"), f"is {cidr}, too small for a DHCP server: take a /29")


def gateway_of(one: dict[str, Any], cidr: Subnet) -> str | None:
    """Return the gateway of a subnet; as in Neutron the first address where nothing is said."""
    return one.get("gateway", str(cidr.network_address + 1) if cidr.num_addresses > 2 else None)


def qos_problems(path: Path, limits: list[dict[str, Any]]) -> Iterator[Problem]:
    """Yield a second limit of one direction."""
    directions = [one.get("direction", "egress") for one in limits]
    if len(set(directions)) < len(directions):
        yield Problem(path, f"limits {directions[0]} twice: write one limit for egress and one for ingress")


MTU = {"vxlan": 1450, "ovn": 1442}


def ranges(network: dict[str, Any]) -> list[Subnet]:
    """Return the ranges of the network's subnets that are ranges."""
    return [found for one in network.get("subnets", []) if (found := subnet(one["cidr"]))]


def overlaps(name: str, network: dict[str, Any]) -> Iterator[Problem]:
    """Yield the subnets of one network that overlap."""
    for (i, a), (j, b) in combinations(enumerate(ranges(network)), 2):
        if a.version == b.version and a.overlaps(b):
            path = ("virtfleet_networks", name, "subnets", j, "cidr")
            yield Problem(path, f"is {b}, which overlaps {a} of subnets[{i}]: ranges must be apart")


def one_subnet(one: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with a subnet."""
    cidr = subnet(one["cidr"])
    if cidr is None:
        yield Problem((*path, "cidr"), f"is {quoted(one['cidr'])}: it must be a range such as 10.0.0.0/24")
        return
    if str(cidr) != one["cidr"] and "/" in one["cidr"] and address(one["cidr"].split("/")[0]) != cidr.network_address:
        yield Problem((*path, "cidr"), f"is {quoted(one['cidr'])}, which has host bits set: write {cidr}")
    if one.get("gateway") is not None and not usable(one["gateway"], cidr):
        yield Problem((*path, "gateway"), f"is {quoted(one['gateway'])}, which is no address for a router in {cidr}")
    yield from route_problems(one.get("routes", []), cidr, (*path, "routes"))
    for index, server in enumerate(one.get("dns", [])):
        if address(server) is None:
            yield Problem((*path, "dns", index), f"is {quoted(server)}: it must be an address such as 10.0.0.1")
    for key in ("pool", "reserved"):
        for index, pool in enumerate(one.get(key, [])):
            wrong = pool_problem(pool, cidr)
            if wrong:
                yield Problem((*path, key, index), f"is {quoted(pool)}{wrong}")


def route_problems(routes: list[dict[str, str]], cidr: Subnet, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the routes of a subnet; the way out of it is its gateway."""
    for index, route in enumerate(routes):
        target = subnet(route["to"])
        if target is None or str(target) != route["to"] or target.version != cidr.version:
            like = "10.8.0.0/16" if cidr.version == 4 else "fd00:8::/48"
            yield Problem((*path, index, "to"), f"is {quoted(route['to'])}: it must be a range such as {like}")
        elif target.prefixlen == 0:
            yield Problem((*path, index, "to"), f"is {target}, which is the way out: write it as 'gateway'")
        if not usable(route["via"], cidr):
            says = f"is {quoted(route['via'])}, which is no address for a router in {cidr}"
            yield Problem((*path, index, "via"), says)


def usable(text: str, cidr: Subnet) -> bool:
    """Tell whether the text is an address of the range that a machine can have."""
    found = address(text)
    return found is not None and found in cidr and not reserved(found, cidr)


def reserved(found: Address, cidr: Subnet) -> bool:
    """Tell whether the address is the range's own or its broadcast; ranges of one or two addresses have neither."""
    if cidr.num_addresses <= 2:
        return False
    return found == cidr.network_address or (cidr.version == 4 and found == cidr.broadcast_address)


def pool_problem(pool: str, cidr: Subnet) -> str:
    """Return what is wrong with a pool, or an empty string."""
    ends = [address(end.strip()) for end in pool.split("-")]
    if len(ends) > 2 or None in ends:
        return ": it must be an address or first-last, such as 10.0.0.20-10.0.0.99"
    outside = next((str(end) for end in ends if end not in cidr), None)
    if outside:
        return f": {outside} is outside {cidr}"
    return f": it ends before it begins; write {ends[1]}-{ends[0]}" if ends[0] > ends[-1] else ""


def server_groups(defined: Catalogue) -> Iterator[Problem]:
    """Yield what is wrong with the policies."""
    for name, group in defined.items():
        if group.get("rules") and group["policy"] != "anti-affinity":
            path = ("virtfleet_server_groups", name, "rules")
            yield Problem(path, f"does not go with policy {group['policy']}: only anti-affinity has rules")


def keypairs(defined: dict[str, str]) -> Iterator[Problem]:
    """Yield the keys that are not what they say; a key's body repeats its type."""
    for name, key in defined.items():
        algorithm, body = key.split(" ")[:2]
        try:
            decoded = base64.b64decode(body, validate=True)
        except binascii.Error:
            decoded = b""
        if decoded[4 : 4 + len(algorithm)] != algorithm.encode():
            yield Problem(("virtfleet_keypairs", name), f"is no whole {algorithm} key: copy the line of the .pub file")


def port_of_network(name: str, network: dict[str, Any]) -> dict[str, Any]:
    """Return what each port on the network takes from it, complete."""
    whole = schema.defaults(schema.NETWORK) | network
    return {
        "network": name,
        "type": whole["type"],
        "bridge": "br-int" if whole["type"] == "ovn" else whole.get("bridge") or naming.bridge(name),
        **({"external": True} if whole["external"] else {}),
        "mtu": whole.get("mtu") or MTU.get(whole["type"], 1500),
        **({"vni": whole["vni"]} if whole["type"] == "vxlan" else {}),
        "subnets": [whole_subnet(one, whole) for one in whole["subnets"]],
        "port_security": whole["port_security"],
        **({"dns_domain": whole["dns_domain"]} if whole["dhcp"] and whole.get("dns_domain") else {}),
        **{key: whole[key] for key in ("qos", "create", "physical", "segmentation_id", "router") if whole.get(key)},
    }


def whole_subnet(one: dict[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    """Return the subnet with its gateway, DHCP server and pool said."""
    cidr = subnet(one["cidr"])
    gateway = gateway_of(one, cidr)
    served, dns = dhcp_of(one, cidr, gateway, network), one.get("dns", [])
    # OVN answers whichever server is asked, and asks no other: what others know, those that are said know.
    if served and network.get("dns_domain") and not (network["type"] == "ovn" and dns):
        dns = [served["dhcp_server"], *(each for each in dns if each != served["dhcp_server"])]
    pool = [whole_pool(pool) for pool in one.get("pool", [])] or default_pool(cidr, gateway)
    reserved = {"reserved": [whole_pool(each) for each in one["reserved"]]} if one.get("reserved") else {}
    routes = {"routes": one["routes"]} if one.get("routes") else {}
    return {"cidr": str(cidr), "gateway": gateway, "dns": dns, **routes, **served, "pool": pool, **reserved}


def dhcp_of(one: dict[str, Any], cidr: Subnet, gateway: str | None, network: dict[str, Any]) -> dict[str, str]:
    """Return the DHCP server of a subnet, nothing where it has none: the last address but a router's."""
    if not network["dhcp"] or cidr.version != 4:
        return {}
    last = cidr.broadcast_address - 1
    return {"dhcp_server": one.get("dhcp_server", str(last if str(last) != gateway else last - 1))}


def whole_pool(pool: str) -> str:
    """Return the pool as first-last."""
    ends = [end.strip() for end in pool.split("-")]
    return f"{ends[0]}-{ends[-1]}"


def default_pool(cidr: Subnet, gateway: str | None) -> list[str]:
    """Return every address of the range that a machine can have, but not the gateway's."""
    small = cidr.num_addresses <= 2
    first = int(cidr[0]) + (not small)
    last = int(cidr[-1]) - (cidr.version == 4 and not small)
    router = int(ipaddress.ip_address(gateway)) if gateway else first - 1
    parts = [(first, min(last, router - 1)), (max(first, router + 1), last)] if first <= router else [(first, last)]
    kind = type(cidr.network_address)
    return [f"{kind(low)}-{kind(high)}" for low, high in parts if low <= high]
