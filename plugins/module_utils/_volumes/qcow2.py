# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A qcow2 file that holds only what the guest changes; everything else is read from the cached base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._qemu_img import run
from .file import check_base, in_use, made, publish, remove, state

if TYPE_CHECKING:
    from .volume import Volume

__all__ = ["FORMAT", "grow", "in_use", "prepare", "publish", "remove", "state"]

FORMAT = "qcow2"


def prepare(volume: Volume) -> None:
    """An overlay on the base, or an empty disk, is there under an unfinished name, made in one call at its size."""
    backing = []
    if volume.base:
        check_base(volume)
        backing = ["-b", volume.base, "-F", volume.base_format]
    made(
        volume,
        lambda path: run(
            ["create", "-q", "-f", FORMAT, *backing, path, str(volume.size)], f"create volume {volume.name}"
        ),
    )


def grow(volume: Volume, size: int) -> None:
    """The disk has that size."""
    run(["resize", "-q", "-f", FORMAT, volume.path, str(size)], f"grow volume {volume.name}")
