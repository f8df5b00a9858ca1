# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a blank disk holds for its guest before the first boot: Nova's ephemeral file system, or swap.

Only disks that were made a moment ago come here: nothing that a guest has written is ever opened by these tools.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._model.errors import ItemError
from . import tools

if TYPE_CHECKING:
    from .volume import Volume

# The inode tables and the journal are written when the guest mounts it: making a file system takes no time at any size.
EXT4 = ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", "-L")
TOOLS = {"ext4": EXT4, "vfat": ("mkfs.vfat", "-I", "-n"), "swap": ("mkswap", "--quiet", "-L")}
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def write(volume: Volume, path: str) -> None:
    """The raw disk at the path holds what the guest expects, labelled with the volume's name as in Nova."""
    command = [*TOOLS[volume.guest_format], volume.name[:11] if volume.guest_format == "vfat" else volume.name, path]
    what = f"make {volume.guest_format} on volume {volume.name}"
    hint = f"failed to {what}: {command[0]} is not installed on this host: install it, or take another format"
    done = tools.run(command, hint, env={**os.environ, "PATH": PATH, "LC_ALL": "C"})
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ItemError(f"failed to {what}: {words}")
