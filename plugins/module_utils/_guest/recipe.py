# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the guest image, decided from the host's release: pure. Private to this collection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from .._model.errors import ItemError

# Raise it when the builder makes another image from the same inputs: every host then builds anew.
BUILDER = 1

# The kernel package of each distribution that has been made to fit; both bring virtio, vfat and iso9660.
KERNELS = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
TOOLS = ("busybox-static", "dropbear-bin", "e2fsprogs", "qemu-guest-agent", "jq")

# Drivers of stage 1; what they depend on is added, what is built into the kernel is left out.
NEEDED_DRIVERS = ("virtio_pci", "virtio_blk", "virtio_net", "ext4", "vfat", "isofs")
OPTIONAL_DRIVERS = (
    "virtio_scsi",
    "sd_mod",
    "sr_mod",
    "virtio_console",
    "virtio_rng",
    "virtio_balloon",
    "nls_cp437",
    "nls_ascii",
    "nls_utf8",
    "button",
    "evdev",
    "ata_piix",
    "ahci",
)


@dataclass(frozen=True)
class Recipe:
    """The inputs of one build.

    Args:
        name: name of the image; its disk is <name>.qcow2.
        suite: release of the distribution, for example "bookworm".
        sources: apt source lists of the host that name the mirrors, as paths.
        packages: what is unpacked; dependencies are added by apt.
        files: the guest's own small files, path -> text, below "root/", "initrd/" and "boot/".
    """

    name: str
    suite: str
    sources: tuple[str, ...]
    packages: tuple[str, ...]
    files: Mapping[str, str]


def recipe(name: str, release: Mapping[str, str], sources: tuple[str, ...], files: Mapping[str, str]) -> Recipe:
    """Return the recipe for a host with this os-release: the guest is of the host's own release."""
    family, suite = release.get("ID", ""), release.get("VERSION_CODENAME", "")
    if family not in KERNELS or not suite:
        raise ItemError(
            f"the guest image cannot be built on '{family or 'an unknown system'}': its packages are known for "
            f"{' and '.join(KERNELS)}; build it on such a host and copy the directory"
        )
    return Recipe(name, suite, sources, (KERNELS[family], *TOOLS), dict(files))


def digest(recipe_: Recipe) -> str:
    """Return what changes when an input of the build changes."""
    inputs = [BUILDER, recipe_.name, recipe_.suite, recipe_.sources, recipe_.packages, sorted(recipe_.files.items())]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def load_order(dependencies: str, builtin: str) -> list[str]:
    """Return the module files of the drivers in an order in which each finds what it needs.

    Args:
        dependencies: text of modules.dep; each line names a module file and the files it needs, nearest first.
        builtin: text of modules.builtin.

    Errors:
        ItemError if the kernel lacks a needed driver.
    """
    lines = [line.split(":", 1) for line in dependencies.splitlines() if ":" in line]
    needs = {file: rest.split() for file, rest in lines}
    files = {driver_name(file): file for file in needs}
    built_in = {driver_name(file) for file in builtin.split()}
    missing = [name for name in NEEDED_DRIVERS if name not in files and name not in built_in]
    if missing:
        raise ItemError(f"the kernel package has no driver {', '.join(missing)}: the guest could not boot from it")
    order: dict[str, None] = {}
    for name in NEEDED_DRIVERS + OPTIONAL_DRIVERS:
        if name in files:
            order.update(dict.fromkeys([*reversed(needs[files[name]]), files[name]]))
    return list(order)


def driver_name(file: str) -> str:
    """Return the name the kernel gives to the driver in a module file: virtio-rng.ko.xz is virtio_rng."""
    return file.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_")
