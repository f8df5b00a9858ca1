# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A qcow2 file that holds only what the guest changes; everything else is read from the cached base.

A volume with a life of its own is a whole copy: it may go to other hosts, and the cache need not keep its image.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .._files import UNFINISHED
from .._qemu_img import run
from . import file, guest_format
from .file import belongs, check_base, forget, in_use, made, publish, remember, remembered, remove, state

if TYPE_CHECKING:
    from .volume import Volume

__all__ = [
    "FILES",
    "FORMAT",
    "GROWS_OPEN",
    "belongs",
    "forget",
    "grow",
    "in_use",
    "opened",
    "place",
    "prepare",
    "publish",
    "remember",
    "remembered",
    "remove",
    "state",
]

FILES = True
GROWS_OPEN = False
FORMAT = "qcow2"
CONVERT_SECONDS = 3600  # of CPU: a conversion works on an image that was inspected
LUKS = ["-o", "encrypt.format=luks,encrypt.key-secret=key"]
place = partial(file.place, FORMAT)


def prepare(volume: Volume, key: str = "") -> None:
    """An overlay on the base, or a blank disk, is there under an unfinished name at its size."""
    if volume.base:
        check_base(volume)
    copied = bool(volume.base and volume.id)
    write = _formatted if volume.guest_format else _copied if copied else _created
    made(volume, lambda path: write(volume, path, key))


def grow(volume: Volume, size: int, key: str = "") -> None:
    """The disk has that size."""
    _resize(volume, volume.path, size, key)


def opened(volume: Volume, path: str) -> str:
    """Return how qemu-img opens the volume at a path."""
    return file.with_options(f"driver={FORMAT}" + (",encrypt.key-secret=key" if volume.encryption else ""), path)


def _resize(volume: Volume, path: str, size: int, key: str) -> None:
    arguments = ["resize", "-q", "--image-opts", opened(volume, path), str(size)]
    run(arguments, f"grow volume {volume.name}", passphrase=key)


def _copied(volume: Volume, path: str, key: str) -> None:
    arguments = ["convert", "-q", "-f", volume.base_format, "-O", FORMAT, *(LUKS if key else []), volume.base, path]
    run(arguments, f"copy {volume.base} to volume {volume.name}", CONVERT_SECONDS, passphrase=key)
    _resize(volume, path, volume.size, key)


def _created(volume: Volume, path: str, key: str) -> None:
    options = ["-b", volume.base, "-F", volume.base_format] if volume.base else []
    options += LUKS if key else []
    arguments = ["create", "-q", "-f", FORMAT, *options, path, str(volume.size)]
    run(arguments, f"create volume {volume.name}", passphrase=key)


def _formatted(volume: Volume, path: str, key: str) -> None:
    """The disk is blank but for what its guest expects, which tools can only write into a plain file of holes."""
    plain = volume.path + ".plain" + UNFINISHED
    try:
        with open(plain, "wb") as stream:
            stream.truncate(volume.size)
        guest_format.write(volume, plain)
        arguments = ["convert", "-q", "-f", "raw", "-O", FORMAT, *(LUKS if key else []), plain, path]
        run(arguments, f"create volume {volume.name}", passphrase=key)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(plain)
