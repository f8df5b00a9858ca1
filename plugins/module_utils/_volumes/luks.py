# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LUKS on what is no file: QEMU encrypts a device, an image of a cluster or the disk of a server. Private.

A node is how QEMU reaches the bytes: the options of its lowest driver. The passphrase is called `key`, and reaches
qemu-img through a pipe.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._qemu_img import ADDRESS_SPACE, run
from . import guest_format
from .file import check_base

if TYPE_CHECKING:
    from .volume import Volume

Node = Mapping[str, str]

# What QEMU writes before the disk: a header and eight slots for a key of 512 bits.
HEADER = 2068480
# By how much a device must be larger than its disk, in whole MiB.
ROOM = 2 * 2**20
OPTIONS = "key-secret=key"
CONVERT_SECONDS = 24 * 3600  # of CPU: encrypting takes longer than copying


def options(node: Node, encrypted: bool, offset: int = 0) -> str:
    """Return how qemu-img opens a disk by its node, from an offset in it on."""
    layers: list[Node] = [{"driver": "luks", "key-secret": "key"} if encrypted else {"driver": "raw"}, node]
    if offset:
        layers.insert(0, {"driver": "raw", "offset": str(offset)})
    words = [(depth, key, layer[key]) for depth, layer in enumerate(layers) for key in layer]
    return ",".join(f"{'file.' * depth}{key}={value.replace(',', ',,')}" for depth, key, value in words)


def made(volume: Volume, target: str, node: Node, key: str, space: int = ADDRESS_SPACE) -> None:
    """The target, as qemu-img makes one, is a disk that only the key opens, with what is in the image.

    What it has beyond the volume's size reads as zeros, so that it can be told from something that a guest wrote.
    """
    create = ["create", "-q", "-f", "luks", "-o", OPTIONS, target, str(volume.size)]
    run(create, f"encrypt volume {volume.name}", address_space=space, passphrase=key)
    if volume.base:
        check_base(volume)
        _copied(volume, volume.base_format, volume.base, node, key, space)
    elif volume.guest_format:
        with tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="virtfleet-") as plain:
            os.truncate(plain.name, volume.size)
            guest_format.write(volume, plain.name)
            _copied(volume, "raw", plain.name, node, key, space)
    rest = (length(volume, node, space) or volume.size) - volume.size
    if rest > 0:
        zeros = ["--image-opts", f"driver=null-co,size={rest},read-zeroes=on", options(node, True, volume.size)]
        arguments = ["convert", "-q", "-n", "--target-image-opts", *zeros]
        run(arguments, f"fill the end of volume {volume.name}", address_space=space, passphrase=key)


def length(volume: Volume, node: Node, space: int = ADDRESS_SPACE, seconds: float | None = None) -> int | None:
    """Return how many bytes the guest sees of an encrypted disk, None if it is none."""
    arguments = ["info", "--output=json", "--image-opts", options(node, True).replace(",key-secret=key", "", 1)]
    what = f"look at volume {volume.name}"
    told = run(arguments, what, address_space=space, seconds=seconds, harmless=(1,))
    return None if told is None else int(json.loads(told)["virtual-size"])


def grown(volume: Volume, node: Node, size: int, key: str, space: int = ADDRESS_SPACE) -> None:
    """The disk has the size, and what it is in is made larger by QEMU itself."""
    arguments = ["resize", "-q", "--image-opts", options(node, True), str(size)]
    run(arguments, f"grow volume {volume.name}", address_space=space, passphrase=key)


def _copied(volume: Volume, source_format: str, source: str, node: Node, key: str, space: int) -> None:
    arguments = ["convert", "-q", "-n", "-f", source_format, "--target-image-opts", source, options(node, True)]
    run(arguments, f"copy {source} to volume {volume.name}", CONVERT_SECONDS, space, passphrase=key)
