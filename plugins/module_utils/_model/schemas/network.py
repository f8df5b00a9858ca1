# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas of networks and routers. Private to this collection."""

from __future__ import annotations

from .words import choice, listing, number, or_null, record, text

SUBNET = record(
    "A range of addresses of a network.",
    ["cidr"],
    {
        "cidr": text("The range.", examples=["10.0.0.0/24"]),
        "gateway": or_null(text("Address of the router; null for none. Default: the first address of the range.")),
        "dns": listing("Addresses of name servers.", text("An address."), examples=[["10.0.0.1"]]),
        "routes": listing(
            "Ways to other ranges, for guests with an address of this one.",
            record(
                "A route.",
                ["to", "via"],
                {
                    "to": text("The range it leads to.", examples=["10.8.0.0/16"]),
                    "via": text("Address of the router, in this range.", examples=["10.0.0.254"]),
                },
            ),
        ),
        "pool": listing(
            "Addresses that may be given out, as `first-last` or single ones. Default: all but the gateway.",
            text("A range."),
            examples=[["10.0.0.20-10.0.0.99"]],
        ),
        "dhcp_server": text(
            "Address of the DHCP server, which no guest gets. Default: the last one that a machine can have; "
            "for networks with `dhcp`.",
            examples=["10.0.0.2"],
        ),
        "reserved": listing(
            "Addresses that are given only to whom asks for them by `fixed_ip`, as `first-last` or single ones.",
            text("A range."),
            examples=[["10.0.0.50-10.0.0.59"]],
        ),
    },
)

BANDWIDTH = {
    "type": "array",
    "description": "Limits of the traffic of each port, in the words of Neutron's bandwidth limit rule.",
    "items": record(
        "A limit, one for each direction.",
        ["max_kbps"],
        {
            "direction": choice("Seen from the guest.", "egress", "ingress", default="egress"),
            "max_kbps": number("Kilobits a second.", 1),
            "max_burst_kbps": number("Kilobits that may pass at once. Default: 80 % of max_kbps.", 1),
        },
    ),
    "maxItems": 2,
    "examples": [[{"max_kbps": 10000}, {"direction": "ingress", "max_kbps": 20000}]],
}

NETWORK = record(
    "A network that guests are plugged into.",
    ["type"],
    {
        "type": choice(
            "`nat`: a private bridge that we make on each host, with a way out; `bridge`: a bridge that is there, or "
            "one that we make; `vxlan`: one network over all hosts, carried in their packets, without a way out; "
            "`ovs`: a bridge of Open vSwitch that is there; `ovn`: one network over all hosts, with routers, SNAT and "
            "floating addresses.",
            "nat",
            "bridge",
            "vxlan",
            "ovs",
            "ovn",
        ),
        "vni": number("Number of the network in the packets; only for `vxlan`.", 1, 2**24 - 1, examples=[100]),
        "bridge": text(
            "The bridge on the host. Needed for one that is there; the others have `vf-<name>` where none is said.",
            maxLength=15,
            pattern=r"^(?!\.{1,2}$)[^\s/:]+$",
            **{"x-valid": "the name of a network device: at most 15 characters without spaces, '/' and ':'"},
            examples=["br0"],
        ),
        "create": {
            "type": "boolean",
            "description": "The bridge is ours: made with the first port, gone with the last; only for `bridge`.",
            "default": False,
        },
        "physical": text(
            "The interface of the hosts that a bridge of ours has in it, or whose VLAN; only for `bridge`.",
            maxLength=15,
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
            **{"x-valid": "the name of a network device: at most 15 letters, digits, '_', '.' and '-'"},
            examples=["eth1"],
        ),
        "segmentation_id": number("Number of the VLAN; only for `bridge` and `ovs`.", 1, 4094, examples=[10]),
        "mtu": number("Largest packet in bytes. Default: 1500, 1450 for `vxlan`, 1442 for `ovn`.", 576, 65535),
        "port_security": {
            "type": "boolean",
            "description": "Lets a guest send only from its own MAC and addresses.",
            "default": True,
        },
        "router": {
            "type": "boolean",
            "description": "Each host has the gateway's address and lets guests out masqueraded; only for `vxlan`.",
            "default": False,
        },
        "qos": BANDWIDTH,
        "subnets": listing("Its address ranges. Without one, addresses are somebody else's business.", SUBNET),
        "external": {
            "type": "boolean",
            "description": "Only for `ovn`: what is outside, where routers go out by the Open vSwitch bridge on their "
            "gateway hosts that `bridge` names.",
            "default": False,
        },
        "dhcp": {
            "type": "boolean",
            "description": "A DHCP server on each host gives its guests the addresses that they have.",
            "default": False,
        },
        "dns_domain": text(
            "With `dhcp`: the domain of the names of its guests, which that server resolves.",
            pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$",
            **{"x-valid": "a domain in small letters such as lab.example"},
            examples=["lab.example"],
        ),
        "project": text("The project whose instances alone may use it. Default: every project may."),
    },
)

ROUTER = record(
    "A router between networks of type `ovn`, with the gateway of each as its address there.",
    ["networks"],
    {
        "networks": listing("Names of networks of type `ovn`.", text("A name."), uniqueItems=True, examples=[["red"]]),
        "external": text("The network with `external: true` that is its way out.", examples=["public"]),
        "external_ip": text("Its address there, which guests appear as outside.", examples=["192.0.2.10"]),
        "gateway_hosts": listing(
            "The hosts that the way out is on: the first that is there.", text("A host."), uniqueItems=True, maxItems=5
        ),
        "snat": {
            "type": "boolean",
            "description": "Guests without a floating address get out, too, as external_ip.",
            "default": True,
        },
    },
)
