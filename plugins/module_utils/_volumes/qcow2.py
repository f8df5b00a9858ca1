# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A qcow2 file that holds only what the guest changes; everything else is read from the cached base."""

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
    "FORMAT",
    "belongs",
    "forget",
    "grow",
    "in_use",
    "place",
    "prepare",
    "publish",
    "remember",
    "remembered",
    "remove",
    "state",
]

FORMAT = "qcow2"
place = partial(file.place, FORMAT)


def prepare(volume: Volume) -> None:
    """An overlay on the base, or a blank disk, is there under an unfinished name at its size."""
    if volume.base:
        check_base(volume)
    made(volume, lambda path: (_formatted if volume.guest_format else _created)(volume, path))


def grow(volume: Volume, size: int) -> None:
    """The disk has that size."""
    run(["resize", "-q", "-f", FORMAT, volume.path, str(size)], f"grow volume {volume.name}")


def _created(volume: Volume, path: str) -> None:
    backing = ["-b", volume.base, "-F", volume.base_format] if volume.base else []
    run(["create", "-q", "-f", FORMAT, *backing, path, str(volume.size)], f"create volume {volume.name}")


def _formatted(volume: Volume, path: str) -> None:
    """The disk is blank but for what its guest expects, which tools can only write into a plain file of holes."""
    plain = volume.path + ".plain" + UNFINISHED
    try:
        with open(plain, "wb") as stream:
            stream.truncate(volume.size)
        guest_format.write(volume, plain)
        run(["convert", "-q", "-f", "raw", "-O", FORMAT, plain, path], f"create volume {volume.name}")
    finally:
        with suppress(FileNotFoundError):
            os.unlink(plain)
