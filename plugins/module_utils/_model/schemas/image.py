# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of an image. Private to this collection."""

from __future__ import annotations

from .words import PROPERTIES, choice, listing, number, or_null, record, text

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
