# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas of volumes, of their types and keys, and of the disks of an instance. Private to this collection."""

from __future__ import annotations

from .words import PLAIN_NAME, choice, number, record, text

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
