# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of volumes. A backend is a file with these names, and is listed here:

FORMAT: the disk format that the guest's XML names.
FILES: whether its volumes are files that everybody can read by their path.
place(name, id, directory, pool): where the volume is: with its instance, or by its id if it outlives that.
belongs(volume, directory): whether it is a disk of the instance with that directory, and goes with it.
prepare(volume, key): the volume is made under an unfinished name; ItemError, and nothing is left, when it cannot be.
publish(volume): the prepared volume has its name, at once.
state(volume): "ready", "prepared" or "missing".
in_use(volume): whether a running guest has it open.
GROWS_OPEN: whether it may grow while a guest has it open; else QEMU itself makes it larger.
grow(volume, size, key): the volume has so many bytes.
remembered(volume), remember(volume), forget(volume): of one that outlives its instance, what it was made as.
opened(volume, path): how qemu-img opens a volume at a path, as its image options; its key is the secret `key`.
remove(volume): it is gone, prepared or ready; returns whether there was one.

`key` is the passphrase of an encrypted volume, empty for another; no backend keeps it.
"""

from __future__ import annotations

from . import iscsi, lvm, nbd, qcow2, raw, rbd

BACKENDS = {"qcow2": qcow2, "raw": raw, "rbd": rbd, "lvm": lvm, "nbd": nbd, "iscsi": iscsi}
