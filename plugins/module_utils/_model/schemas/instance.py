# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of an instance. Private to this collection."""

from __future__ import annotations

from .network import BANDWIDTH
from .volume import BLOCK_DEVICE
from .words import NAME, PLAIN_NAME, choice, listing, number, or_null, record, text

UUIDS = {"type": ["string", "array"], "items": {"type": "string"}}

INSTANCE = record(
    "One guest, or `count` equal ones.",
    ["name"],
    {
        "name": {
            **NAME,
            "description": "Its name, unique within the project. With a count: web gives web-1, web-2 ...",
        },
        "count": number("How many.", 1, 10000, default=1),
        "min_count": number(
            "With how many of them you are content. Default: every one that fits is started.", 1, 10000
        ),
        "state": choice("Running, shut down but there, or gone.", "active", "stopped", "absent", default="active"),
        "flavor": text("A name of virtfleet_flavors.", examples=["m1.small"]),
        "image": text("A name of virtfleet_images. Not needed to boot from a volume.", examples=["debian-12"]),
        "networks": {
            "type": "array",
            "description": "One port for each, in this order; an empty list for none. "
            "Default: the network, where virtfleet_networks has just one.",
            "items": record(
                "A port.",
                ["network"],
                {
                    "network": text("A name of virtfleet_networks."),
                    "fixed_ip": or_null(text("The address it must have; not with a count above 1.")),
                    "floating_ip": text(
                        "An IPv4 address that others reach it at: of the hosts' own network for `vxlan` with `router`, "
                        "of the external network of its router for `ovn`; not with a count above 1.",
                        examples=["192.0.2.50"],
                    ),
                    "port_security": {"type": "boolean", "description": "Overrules the network's."},
                    "port_isolated": {
                        "type": "boolean",
                        "description": "Keeps it from other isolated ports of its bridge on the same host.",
                    },
                    "qos": {**BANDWIDTH, "description": "Overrules the network's; an empty list for no limit."},
                    "allowed_address_pairs": listing(
                        "What else the port may send from: addresses of a router, a cluster or a container network.",
                        record(
                            "An address or range.",
                            ["ip_address"],
                            {
                                "ip_address": text("An address or a range.", examples=["10.0.0.250", "10.244.0.0/16"]),
                                "mac_address": text(
                                    "Default: the port's own.",
                                    pattern=r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$",
                                    **{"x-valid": "a MAC address such as 00:00:5e:00:01:0a"},
                                ),
                            },
                        ),
                        maxItems=10,
                    ),
                },
            ),
            "examples": [[{"network": "lan"}], [{"network": "lan", "fixed_ip": "10.0.0.31"}]],
        },
        "security_groups": {
            **listing(
                "Names of virtfleet_security_groups. `default` is always there: it lets everything out, and in from "
                "guests that have it too, unless you define it. An empty list lets nothing pass.",
                text("A name."),
                uniqueItems=True,
                examples=[["web"]],
            ),
            "default": ["default"],
        },
        "server_group": or_null(text("A name of virtfleet_server_groups.")),
        "key_name": or_null(text("A name of virtfleet_keypairs: who may log in.")),
        "user_data": or_null(
            {
                "type": "string",
                "description": "What cloud-init does at first boot; at most 65,535 bytes in base64, as in Nova.",
                "x-secret": True,
                "examples": ["{{ lookup('file', 'web.yml') }}"],
            }
        ),
        "user_data_base64": or_null(
            {
                "type": "string",
                "description": "The same in base64, for what is no text, such as gzip.",
                "x-secret": True,
                "examples": ["{{ lookup('pipe', 'gzip -9 < web.yml | base64 -w0') }}"],
            }
        ),
        "vendor_data": or_null(
            {
                "type": "string",
                "description": "As user_data, from who runs the fleet: what user_data says goes before it.",
                "maxLength": 65535,
                "x-secret": True,
                "examples": ["#cloud-config\nntp: {servers: [10.0.0.1]}\n"],
            }
        ),
        "admin_pass": or_null(
            text(
                "Password of the guest's default user, as a hash of crypt(3): nobody needs the password itself.",
                pattern=r"^\$(1|2a|2y|5|6)(\$[^$:\s]+){2,}$",
                **{
                    "x-secret": True,
                    "x-valid": "what `mkpasswd -m sha-512` prints, beginning with '$6$'; "
                    "cloud-init takes $y$ for a password in clear",
                },
            )
        ),
        "files": listing(
            "Small files to put into the guest.",
            record(
                "A file.",
                ["path"],
                {
                    "path": text(
                        "Where.",
                        pattern=r"^(/(?!\.{1,2}(/|$))[^/\x00-\x1f\x7f]+)+$",
                        **{"x-valid": "an absolute path of a file, without '..'"},
                    ),
                    "content": {
                        "type": "string",
                        "description": "What is in it, at most 10,240 bytes.",
                        "maxLength": 10240,
                        "x-secret": True,
                    },
                    "content_base64": {
                        "type": "string",
                        "description": "The same in base64, for what is no text.",
                        "maxLength": 13656,
                        "x-secret": True,
                    },
                },
                **{"x-secret": True},
            ),
            maxItems=5,
            **{"x-secret": True},
        ),
        "config_drive": choice("How the guest is told all this.", "nocloud", "openstack", "none", default="nocloud"),
        "config_drive_format": choice(
            "The file system it is told by; `vfat` for a kernel that reads no CD.",
            "iso9660",
            "vfat",
            default="iso9660",
        ),
        "hostname": text(
            "The guest's own name. Default: made of the name as Nova does; not with a count above 1.",
            pattern=r"^[a-zA-Z0-9._-]+$",
            **{"x-valid": "letters, digits, '.', '_' and '-'"},
        ),
        "metadata": {
            "type": "object",
            "description": "Your own keys and values.",
            "propertyNames": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": r"^[a-zA-Z0-9_:. -]+$",
                "x-valid": "1 to 255 letters, digits, '-', '_', ':', '.' and spaces",
            },
            "additionalProperties": {"type": "string", "maxLength": 255},
            "maxProperties": 128,
            "default": {},
            "examples": [{"role": "web"}],
        },
        "tags": listing(
            "Your own labels.",
            {
                "type": "string",
                "minLength": 1,
                "maxLength": 60,
                "pattern": r"^[^,/]+$",
                "x-valid": "1 to 60 characters without ',' and '/'",
            },
            maxItems=50,
            uniqueItems=True,
        ),
        "project": {**PLAIN_NAME, "description": "A name of virtfleet_projects.", "default": "default"},
        "volume_backend": choice(
            "`qcow2`: an overlay over the cached image, ready at once; `raw`: a full copy, faster to write to.",
            "qcow2",
            "raw",
            default="qcow2",
        ),
        "volume_type": text(
            "A name of virtfleet_volume_types for the disks of the flavor, in the place of volume_backend."
        ),
        "block_devices": listing(
            "Disks beside those of the flavor, or to boot from a volume.",
            BLOCK_DEVICE,
            maxItems=25,
            examples=[[{"source_type": "volume", "source": "db-data", "destination_type": "volume"}]],
        ),
        "availability_zone": or_null(
            text(
                "Only hosts of this zone.",
                pattern=r"^[^:]+$",
                **{"x-valid": "the name of a zone without ':' (name a host with 'host')"},
            )
        ),
        "cell": or_null(text("A name of virtfleet_cells: only hosts of this cell, or of the cells inside it.")),
        "host": or_null(text("Only this host, if the filters pass it.")),
        "force_hosts": listing("Only these hosts, whatever the filters say.", text("A host."), uniqueItems=True),
        "ignore_hosts": listing("Not these hosts.", text("A host."), uniqueItems=True),
        "spread": record(
            "Shared out evenly over the values of a host label.",
            ["by"],
            {
                "by": text("The label.", examples=["rack"]),
                "policy": choice("A must (hard) or a wish (soft).", "hard", "soft", default="hard"),
                "max_skew": number("How many more one value may have than another.", 1, default=1),
            },
        ),
        "hints": {
            "type": "object",
            "description": "Nova's scheduler hints.",
            "properties": {
                "same_host": {**UUIDS, "description": "On a host of these instances (uuids)."},
                "different_host": {**UUIDS, "description": "On no host of these instances (uuids)."},
                "build_near_host_ip": text("Near this host."),
                "cidr": text("How near."),
            },
            "additionalProperties": True,
            "default": {},
        },
        "wait_for": choice(
            "When the boot counts as done.", "running", "address", "agent", "console", "ssh", default="running"
        ),
    },
    **{
        "if": {"properties": {"state": {"const": "absent"}}, "required": ["state"]},
        "else": {
            "required": ["flavor"],
            "if": {"required": ["block_devices"]},  # one of them may be what it starts from
            "else": {"required": ["image"]},
        },
    },
)
