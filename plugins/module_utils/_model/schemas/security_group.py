# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a security group. Private to this collection."""

from __future__ import annotations

from .words import choice, listing, number, record, text

PROTOCOLS = ("any", "tcp", "udp", "sctp", "icmp", "icmpv6", "gre", "esp", "ah", "vrrp")

SECURITY_GROUP = record(
    "What may pass.",
    [],
    {
        "rules": listing(
            "All that is allowed; nothing else passes, except out of a guest whose groups have `open_egress`.",
            record(
                "One thing that is allowed.",
                [],
                {
                    "direction": choice("Seen from the guest.", "ingress", "egress", default="ingress"),
                    "ethertype": choice("Default: both, or that of protocol and remote.", "IPv4", "IPv6"),
                    "protocol": choice("The protocol.", *PROTOCOLS, default="any"),
                    "ports": {
                        "type": ["integer", "string"],
                        "description": "A port or a range such as `8000-8099`, for tcp, udp and sctp. Default: all.",
                        "minimum": 1,
                        "maximum": 65535,
                        "pattern": r"^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?$",
                        "x-valid": "a port from 1 to 65535 or a range such as '8000-8099'",
                        "examples": [443],
                    },
                    "icmp_type": number("Type of the message, for icmp and icmpv6. Default: all.", 0, 255),
                    "icmp_code": number("Code beside icmp_type. Default: all.", 0, 255),
                    "remote": text("The range of the other side. Default: anywhere.", examples=["0.0.0.0/0"]),
                    "remote_group": text("The other side is any guest of this group, in the same project."),
                    "description": {"type": "string", "description": "For people.", "maxLength": 255},
                },
            ),
        ),
        "open_egress": {
            "type": "boolean",
            "description": "Lets everything out, as a new group of Neutron does. Default: where no rule is of egress.",
        },
        "stateful": {
            "type": "boolean",
            "description": "Answers to what was let pass do so too. Groups of both kinds do not go together.",
            "default": True,
        },
        "description": {"type": "string", "description": "For people.", "maxLength": 255},
    },
)
