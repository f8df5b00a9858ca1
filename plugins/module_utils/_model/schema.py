# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of every variable a user writes, as one JSON Schema (draft 2020-12). Private to this collection.

It is the source of the validation, of docs/schema.json for editors, of the tables in docs/variables.md and of the
role's argument specs. Two keywords are ours: `x-valid` says in words what a pattern wants, and `x-secret` marks a
value that no message may show.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

INT32 = 2**31 - 1


def text(description: str, **more: Any) -> Schema:
    """Return the schema of a text of 1 to 255 characters."""
    return {"type": "string", "description": description, "minLength": 1, "maxLength": 255, **more}


def number(description: str, minimum: int = 0, maximum: int = INT32, **more: Any) -> Schema:
    """Return the schema of a whole number."""
    return {"type": "integer", "description": description, "minimum": minimum, "maximum": maximum, **more}


def choice(description: str, *values: str, **more: Any) -> Schema:
    """Return the schema of one word out of several."""
    return {"type": "string", "description": description, "enum": list(values), **more}


def listing(description: str, items: Schema, **more: Any) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "description": description, "items": items, "default": [], **more}


def record(description: str, required: list[str], properties: dict[str, Schema], **more: Any) -> Schema:
    """Return the schema of a mapping with fixed keys."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def catalogue(description: str, names: Schema, entries: Schema, example: Any) -> Schema:
    """Return the schema of a mapping from names the user chooses to entries."""
    return {
        "type": "object",
        "description": description,
        "propertyNames": names,
        "additionalProperties": entries,
        "default": {},
        "examples": [example],
    }


def or_null(schema: Schema) -> Schema:
    """Return the schema with null allowed, which means the same as leaving the key out."""
    return {**schema, "type": [schema["type"], "null"]}


NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?!\s)[^\x00-\x1f\x7f/]*(?<!\s)$",
    "x-valid": "1 to 255 printable characters without '/' and without a space at either end",
}
PLAIN_NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
    "x-valid": "letters, digits, '_', '.' and '-', beginning with a letter or digit, at most 64",
}
PROPERTIES = {
    "type": "object",
    "propertyNames": {"type": "string", "minLength": 1, "maxLength": 255},
    "additionalProperties": {"type": ["string", "integer", "boolean"]},
    "default": {},
}
UUIDS = {"type": ["string", "array"], "items": {"type": "string"}}

FLAVOR = record(
    "A size.",
    ["vcpus", "memory_mb"],
    {
        "vcpus": number("Virtual CPUs.", 1),
        "memory_mb": number("Memory in MiB.", 1),
        "disk_gb": number("Size of the root disk in GiB; 0 keeps the size of the image.", default=0),
        "ephemeral_gb": number(
            "Size in GiB of a second disk with an empty file system, labelled `ephemeral0`.", default=0
        ),
        "swap_mb": number("Size in MiB of a swap disk, labelled `swap`.", default=0),
        "extra_specs": {
            **PROPERTIES,
            "description": "What the scheduler and the guest need beyond size, in Nova's names.",
            "examples": [{"hw:cpu_policy": "dedicated"}],
        },
        "description": {"type": "string", "description": "For people.", "maxLength": 65535, "default": ""},
    },
)

IMAGE_URL = {
    "maxLength": 2048,
    "pattern": r"^(https?://[^\s/@]+/\S*[^\s/]|file:///\S*[^\s/])$",
    "x-valid": "an http://, https:// or file:/// URL of a file, without a password in it",
}

IMAGE = record(
    "A disk to start from.",
    ["url"],
    {
        "url": {
            "type": ["string", "array"],
            "description": "Where the image is fetched from, once for each host; or several such places of the same "
            "file, tried in order.",
            **IMAGE_URL,
            "items": {"type": "string", **IMAGE_URL},
            "minItems": 1,
            "maxItems": 20,
            "uniqueItems": True,
            "examples": ["https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2"],
        },
        "checksum": or_null(
            text(
                "Digest of the file, or the URL of a sums file that names it. Without one it is taken as it comes.",
                maxLength=2048,
                pattern=r"^(sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128}|https?://[^\s/@]+/\S*[^\s/]|file:///\S*[^\s/])$",
                **{
                    "x-valid": "'sha256:' and 64 hexadecimal digits, 'sha512:' and 128, "
                    "or the http://, https:// or file:/// URL of a sums file"
                },
                examples=["https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS"],
                default=None,
            )
        ),
        "host": text(
            "The host that has the file, for a file:/// URL that only this host can read; it hands it to the others.",
            examples=["kvm1"],
        ),
        "disk_format": choice(
            "What the file is, unpacked if it is packed; one that is something else is refused.",
            "qcow2",
            "raw",
            default="qcow2",
        ),
        "min_disk_gb": number("Smallest root disk in GiB the image can live on.", default=0),
        "min_ram_mb": number("Least memory in MiB the image can live with.", default=0),
        "properties": {
            **PROPERTIES,
            "description": "Nova's image properties.",
            "examples": [{"hw_disk_bus": "virtio"}],
        },
        "visibility": choice(
            "Who may boot it. `public`: every project; `private`: its owner; `shared`: its owner and its members.",
            "public",
            "private",
            "shared",
            default="public",
        ),
        "owner": text("The project that it belongs to, for an image that is private or shared.", examples=["ops"]),
        "members": listing(
            "Projects that may boot a shared image too.",
            text("A project."),
            uniqueItems=True,
            examples=[["web"]],
        ),
        "description": {"type": "string", "description": "For people.", "maxLength": 65535, "default": ""},
    },
)

QOS = record(
    "What the disks of this type may do, in Nova's words without `quota:disk_`.",
    [],
    {
        f"{kind}_{unit}_sec": number(f"{kind.capitalize()} {unit} a second.", 1)
        for kind in ("read", "write", "total")
        for unit in ("bytes", "iops")
    },
    default={},
)

VOLUME_TYPE = record(
    "A kind of volume.",
    ["backend"],
    {
        "backend": choice(
            "`qcow2` and `raw`: files in a directory; `rbd`: images in a pool of a Ceph cluster; `lvm`: logical "
            "volumes of the host; `nbd` and `iscsi`: disks that a storage server has.",
            "qcow2",
            "raw",
            "rbd",
            "lvm",
            "nbd",
            "iscsi",
        ),
        "directory": text(
            "Where the files are. Default: `volumes` below the host's state directory.",
            pattern=r"^/[^\x00-\x1f,]*$",
            **{"x-valid": "an absolute path without commas"},
            examples=["/srv/nfs/volumes"],
        ),
        "shared": {
            "type": "boolean",
            "description": "All hosts see the same directory (NFS and the like), so a volume is not bound to a host.",
            "default": False,
        },
        "pool": {**PLAIN_NAME, "description": "The pool of the cluster, for `rbd`.", "examples": ["vms"]},
        "user": {**PLAIN_NAME, "description": "The Ceph user, without `client.`.", "default": "libvirt"},
        "conf": text(
            "The cluster's configuration on the hosts; it names the monitors and the keyring.",
            pattern=r"^/[^\x00-\x20,:;=@]*$",
            **{"x-valid": "an absolute path without spaces and ',', ':', ';', '=', '@'"},
            default="/etc/ceph/ceph.conf",
        ),
        "volume_group": {**PLAIN_NAME, "description": "The volume group of the hosts, for `lvm`.", "examples": ["vg0"]},
        "thin_pool": {
            **PLAIN_NAME,
            "description": "A thin pool in it, if the volumes are to be thin; disks from an image are snapshots then.",
            "examples": ["guests"],
        },
        "server": text(
            "The storage server as the hosts reach it, for `nbd` and `iscsi`; after a colon its port.",
            pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$",
            **{"x-valid": "a name or address, IPv6 in brackets, and maybe ':' and a port"},
            examples=["storage1:10809"],
        ),
        "target": text(
            "The iSCSI target.",
            pattern=r"^(iqn|eui|naa)\.[A-Za-z0-9.:_-]{1,219}$",
            **{"x-valid": "a name such as iqn.2026-01.org.example:disks"},
            examples=["iqn.2026-01.org.example:disks"],
        ),
        "chap_user": text(
            "The user for iSCSI targets that want a password, which virtfleet_volume_keys has.",
            pattern=r"^[A-Za-z0-9.:_-]{1,255}$",
            **{"x-valid": "letters, digits and '.:_-'"},
            examples=["virtfleet"],
        ),
        "encryption": choice(
            "LUKS: each disk is opened by the passphrase that virtfleet_volume_keys has for it.",
            "luks",
        ),
        "cache": choice(
            "libvirt's cache mode. Default: that of the host, `writeback` for `rbd`.",
            "none",
            "writeback",
            "writethrough",
            "directsync",
            "unsafe",
        ),
        "discard": choice("Whether space the guest frees is given back.", "unmap", "ignore", default="unmap"),
        "qos": QOS,
    },
)

VOLUME = record(
    "A disk that outlives the guests it is attached to.",
    ["size_gb"],
    {
        "size_gb": number("Its size in GiB; a larger number extends it.", 1),
        "type": text("A name of virtfleet_volume_types. Default: `qcow2` files on the host of the guest."),
        "image": text("A name of virtfleet_images that it is made from, to boot from it."),
        "host": text("The host it is on, where not all see it. Default: that of its first guest."),
        "location": text(
            "What its storage server calls it: the export of an `nbd` server, the LUN of an `iscsi` target.",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$",
            **{"x-valid": "letters, digits and '._/-'"},
            examples=["db-data"],
        ),
        "project": {**PLAIN_NAME, "description": "A name of virtfleet_projects.", "default": "default"},
        "description": {"type": "string", "description": "For people.", "maxLength": 255, "default": ""},
    },
)

VOLUME_KEY = text(
    "A passphrase; it reaches the hosts that have the volume, and of these nothing but qemu-img and libvirt.",
    minLength=8,
    maxLength=512,
    pattern=r"^[^\x00-\x1f\x7f]*$",
    **{"x-secret": True, "x-valid": "8 to 512 characters on one line"},
)

BLOCK_DEVICE = record(
    "A disk beside, or in the place of, those of the flavor; the words are those of Nova's block_device_mapping_v2.",
    ["source_type", "destination_type"],
    {
        "source_type": choice("What it is made from.", "blank", "image", "volume", "snapshot"),
        "destination_type": choice(
            "`local`: goes with the instance; `volume`: a volume with a life of its own.", "local", "volume"
        ),
        "source": text("The name of the image or volume that source_type speaks of (Nova's `uuid`)."),
        "boot_index": {
            "type": ["integer", "null"],
            "description": "0 is what the guest boots from; null for a disk it does not boot from.",
            "minimum": -1,
            "maximum": 25,
            "default": None,
        },
        "volume_size": number("Size in GiB.", 1),
        "volume_type": text("A name of virtfleet_volume_types, for a new volume."),
        "guest_format": choice("What a blank local disk holds.", "ext4", "vfat"),
        "delete_on_termination": {
            "type": "boolean",
            "description": "Whether the volume is deleted with the instance.",
            "default": False,
        },
        "disk_bus": choice("The bus; default: the image's hw_disk_bus.", "virtio", "scsi", "sata", "ide", "usb"),
        "device_type": choice("How the guest sees it.", "disk", "cdrom", default="disk"),
        "tag": text(
            "Your word for the device, kept with the instance.",
            maxLength=60,
            pattern=r"^[^,/]+$",
            **{"x-valid": "1 to 60 characters without ',' and '/'"},
        ),
    },
)

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

SERVER_GROUP = record(
    "Guests that belong together, or apart.",
    ["policy"],
    {
        "policy": choice(
            "On one host, on different hosts, or so far as possible (soft).",
            "affinity",
            "anti-affinity",
            "soft-affinity",
            "soft-anti-affinity",
        ),
        "rules": record(
            "Only for anti-affinity.",
            [],
            {"max_server_per_host": number("How many of the group one host may have.", 1, default=1)},
            default={},
        ),
    },
)

KEYPAIR = text(
    "A public key as in authorized_keys.",
    maxLength=16384,
    pattern=r"^(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\r\n]*)?\n?$",
    **{"x-valid": "one public key line such as 'ssh-ed25519 AAAA... comment'", "x-secret": True},
)


def limit(description: str) -> Schema:
    """Return the schema of a quota."""
    return number(f"{description}; -1 for no limit.", -1, default=-1)


CELL = record(
    "A part of the fleet with a registry of its own. One whose group has the hosts of others has none: it is those.",
    [],
    {
        "group": or_null(text("The inventory group with its hosts; `cell_` and its name unless given.")),
        "registry_host": or_null(text("The host on which its registry is reached; its first one unless given.")),
        "registry_url": or_null(text("Its registry; a file of its own on that host unless given.")),
    },
)
PROJECT = record(
    "Somebody who owns guests.",
    [],
    {
        "quota": record(
            "How much it may have in the whole fleet.",
            [],
            {
                "instances": limit("Number of instances"),
                "cores": limit("Virtual CPUs"),
                "memory_mb": limit("Memory in MiB"),
            },
            default={},
        ),
        "description": {"type": "string", "description": "For people.", "maxLength": 255, "default": ""},
    },
)

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

VARIABLES = {
    "virtfleet_flavors": catalogue(
        "The sizes a guest can have, by name.",
        NAME,
        FLAVOR,
        {"m1.small": {"vcpus": 1, "memory_mb": 2048, "disk_gb": 20}},
    ),
    "virtfleet_images": catalogue(
        "The disks a guest can start from, by name.",
        NAME,
        IMAGE,
        {
            "debian-12": {
                "url": "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2",
                "checksum": "https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS",
                "min_disk_gb": 3,
            }
        },
    ),
    "virtfleet_networks": catalogue(
        "The networks of the fleet, by name.",
        NAME,
        NETWORK,
        {
            "lan": {
                "type": "bridge",
                "bridge": "br0",
                "subnets": [{"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "pool": ["10.0.0.20-10.0.0.99"]}],
            },
            "red": {"type": "ovn", "subnets": [{"cidr": "10.70.0.0/24"}]},
            "public": {"type": "ovn", "external": True, "bridge": "br-ex", "subnets": [{"cidr": "192.0.2.0/24"}]},
        },
    ),
    "virtfleet_routers": catalogue(
        "The routers of networks of type `ovn`, by name.",
        NAME,
        ROUTER,
        {"edge": {"networks": ["red"], "external": "public", "external_ip": "192.0.2.10", "gateway_hosts": ["kvm1"]}},
    ),
    "virtfleet_volume_types": catalogue(
        "The kinds of volumes, by name.",
        PLAIN_NAME,
        VOLUME_TYPE,
        {"shared": {"backend": "raw", "directory": "/srv/nfs/volumes", "shared": True}},
    ),
    "virtfleet_volumes": catalogue(
        "The volumes of the fleet, by name.",
        PLAIN_NAME,
        VOLUME,
        {"db-data": {"size_gb": 100, "type": "shared"}},
    ),
    "virtfleet_volume_keys": catalogue(
        "The passphrases of encrypted volumes, by the name of a volume or else of its type; keep them in a vault.",
        PLAIN_NAME,
        VOLUME_KEY,
        {"db-data": "{{ vault_db_data }}"},
    ),
    "virtfleet_security_groups": catalogue(
        "What may pass to and from guests, by name.",
        NAME,
        SECURITY_GROUP,
        {
            "web": {
                "rules": [
                    {"protocol": "tcp", "ports": 443},
                    {"protocol": "tcp", "ports": 22, "remote_group": "default"},
                ]
            }
        },
    ),
    "virtfleet_server_groups": catalogue(
        "Which guests share a host and which do not, by name.", NAME, SERVER_GROUP, {"web": {"policy": "anti-affinity"}}
    ),
    "virtfleet_keypairs": catalogue(
        "Public keys, by name.",
        NAME,
        KEYPAIR,
        {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ops"},
    ),
    "virtfleet_cells": catalogue(
        "The parts of the fleet that have a registry each, by name; a fleet without any has one.",
        PLAIN_NAME,
        CELL,
        {"east": {"group": "cell_east"}, "west": {"group": "cell_west"}},
    ),
    "virtfleet_projects": catalogue(
        "Who owns guests, by name, and how much they may have. Project `default` is always there.",
        PLAIN_NAME,
        PROJECT,
        {"default": {"quota": {"instances": 10, "cores": 20, "memory_mb": 51200}}},
    ),
    "virtfleet_max_attempts": number(
        "With how many hosts a new instance is tried in one run, when its hosts fail it.", 1, 3, default=3, examples=[2]
    ),
    "virtfleet_instances": {
        "type": "array",
        "description": "What should run.",
        "items": INSTANCE,
        "default": [],
        "examples": [
            [{"name": "web", "count": 3, "flavor": "m1.small", "image": "debian-12", "networks": [{"network": "lan"}]}]
        ],
    },
}

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://github.com/virtfleet/virtfleet.compute/raw/main/docs/schema.json",
    "title": "Variables of virtfleet.compute",
    "type": "object",
    "properties": VARIABLES,
}


def defaults(schema: Schema) -> dict[str, Any]:
    """Return the keys of a mapping's schema that have a default, with it."""
    return {key: one["default"] for key, one in schema["properties"].items() if "default" in one}
