# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which guests need which cached image, from what libvirt and the directories of instances tell together.

Private to this collection.
"""

from __future__ import annotations

import os

from ._images import chain


def image_users(state_dir: str, uri: str) -> dict[str, list[str]]:
    """Return the guests that need each file of the cache, by file; ItemError when libvirt cannot be asked.

    libvirt is loaded only here: a run that has all its images, which is nearly every run, never comes here.
    """
    from ._hypervisor.connection import connect
    from ._hypervisor.disks import disk_files

    with connect(uri) as connection:
        guests = [chain.Disks(*one) for one in disk_files(connection)]
    return chain.users(os.path.join(state_dir, "images"), state_dir, guests)
