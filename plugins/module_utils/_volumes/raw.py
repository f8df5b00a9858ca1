# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain file with the bytes of the disk: nothing between the guest and the file system; holes stay holes."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .._files import UNFINISHED
from .._qemu_img import run
from . import file, guest_format
from .file import belongs, check_base, check_space, forget, in_use, made, publish, remember, remembered, remove, state

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
FORMAT = "raw"
LUKS = ["luks", "-o", "key-secret=key"]
place = partial(file.place, FORMAT)
FICLONE = 0x40049409  # linux/fs.h: the target shares the blocks of the source until one is written
CONVERT_SECONDS = 3600  # of CPU: a conversion works on an image that was inspected


def prepare(volume: Volume, key: str = "") -> None:
    """A copy of the base, or an empty disk, is there under an unfinished name, at its final size."""
    if volume.base:
        check_base(volume)
    check_space(volume)
    made(volume, lambda path: (_encrypt if key else _write)(volume, path, key))


def grow(volume: Volume, size: int, key: str = "") -> None:
    """The disk has that size."""
    if key:
        _grow_encrypted(volume, volume.path, size, key)
    else:
        os.truncate(volume.path, size)


def opened(volume: Volume, path: str) -> str:
    """Return how qemu-img opens the volume at a path."""
    return file.with_options("driver=luks,key-secret=key" if volume.encryption else "driver=raw", path)


def _encrypt(volume: Volume, path: str, key: str) -> None:
    """The file is LUKS, which begins with its header: the disk in it has the size."""
    what = f"create volume {volume.name}"
    if volume.guest_format:
        plain = volume.path + ".plain" + UNFINISHED
        try:
            _write(volume, plain, "")
            run(["convert", "-q", "-f", FORMAT, "-O", *LUKS, plain, path], what, CONVERT_SECONDS, passphrase=key)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(plain)
    elif volume.base:
        source = ["-f", volume.base_format, "-O", *LUKS, volume.base, path]
        run(["convert", "-q", *source], f"copy {volume.base} to volume {volume.name}", CONVERT_SECONDS, passphrase=key)
        _grow_encrypted(volume, path, volume.size, key)
    else:
        run(["create", "-q", "-f", *LUKS, path, str(volume.size)], what, passphrase=key)


def _grow_encrypted(volume: Volume, path: str, size: int, key: str) -> None:
    arguments = ["resize", "-q", "--image-opts", opened(volume, path), str(size)]
    run(arguments, f"grow volume {volume.name}", passphrase=key)


def _write(volume: Volume, path: str, key: str) -> None:
    with open(path, "xb"):
        pass
    if volume.base and not (volume.base_format == FORMAT and _reflinked(volume.base, path)):
        arguments = ["convert", "-q", "-f", volume.base_format, "-O", FORMAT, volume.base, path]
        run(arguments, f"copy {volume.base} to volume {volume.name}", CONVERT_SECONDS)
    os.truncate(path, volume.size)
    if volume.guest_format:
        guest_format.write(volume, path)


def _reflinked(source: str, target: str) -> bool:
    """Return whether the file system made the target share the source's blocks (XFS, Btrfs; not ext4)."""
    with open(source, "rb") as read, open(target, "wb") as written:
        try:
            fcntl.ioctl(written.fileno(), FICLONE, read.fileno())
        except OSError:
            return False
    return True
