# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks, routers and groups that both tests of OVN try."""

from __future__ import annotations

OUTSIDE, FLOATING = "192.0.2.1", "192.0.2.50"
RED, BLUE = "10.70.0.0/24", "10.71.0.0/24"
NETWORKS = {
    "red": {"type": "ovn", "dhcp": True, "dns_domain": "red.example", "subnets": [{"cidr": RED}]},
    "blue": {"type": "ovn", "subnets": [{"cidr": BLUE}]},
    "twin": {"type": "ovn", "subnets": [{"cidr": RED, "gateway": None}]},
    "public": {
        "type": "ovn",
        "external": True,
        "bridge": "br-ex",
        "subnets": [{"cidr": "192.0.2.0/24", "gateway": OUTSIDE}],
    },
}
GROUPS = {
    "open": {"rules": [{"protocol": "icmp"}, {"protocol": "tcp", "ports": 80}]},
    "closed": {"rules": [{"protocol": "tcp", "ports": 80, "remote_group": "friend"}]},
    "friend": {"rules": [{"protocol": "icmp"}]},
}


def routers(gateway: str) -> dict:
    """Return a router between two of the networks, whose way out is on the host."""
    edge = {"networks": ["red", "blue"], "external": "public", "external_ip": "192.0.2.10", "gateway_hosts": [gateway]}
    return {"edge": edge}
