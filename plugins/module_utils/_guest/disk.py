# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bootable disk from two file trees, without mounts, loop devices or root. Private to this collection."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from .tools import run

MIB = 1024 * 1024
BOOT_CODE = ("usr/lib/syslinux/mbr/mbr.bin", "usr/lib/SYSLINUX/mbr.bin", "usr/share/syslinux/mbr.bin")


def pack_initrd(tree: Path, target: Path) -> None:
    """Write the tree as a compressed initramfs; the same tree gives the same bytes."""
    names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
    archive = target.with_suffix(".cpio")
    order = ["-D", str(tree), "-o", "-H", "newc", "-R", "0:0", "--reproducible", "--quiet", "-F", str(archive)]
    run(["cpio", *order], stdin=names)
    target.write_bytes(gzip.compress(archive.read_bytes(), 9, mtime=0))


def content_size(tree: Path) -> int:
    """Return the bytes a filesystem of 4 KiB blocks needs for the tree."""
    return sum(4096 + -(-path.lstat().st_size // 4096) * 4096 for path in tree.rglob("*") if not path.is_symlink())


def write_disk(disk: Path, boot: list[Path], root: Path) -> None:
    """Write the disk: boot code, a FAT partition with the files of boot, and the root filesystem.

    The root filesystem is last so that stage 1 can let it grow to the end of any disk; it may grow to 2 TiB.
    """
    boot_mib = sum(path.stat().st_size for path in boot) // MIB + 3
    root_mib = content_size(root) // MIB + 12
    with disk.open("wb") as file:
        file.truncate((1 + boot_mib + root_mib) * MIB)
    layout = f"label: dos\nstart=1MiB, size={boot_mib}MiB, type=e, bootable\nstart={1 + boot_mib}MiB, type=83\n"
    run(["sfdisk", "-q", str(disk)], stdin=layout)
    _write_boot_code(disk)
    fat = f"{disk}@@{MIB}"
    run(["mformat", "-i", fat, "-T", str(boot_mib * MIB // 512), "-h", "64", "-s", "32", "-H", "2048", "-v", "BOOT"])
    run(["mcopy", "-i", fat, *map(str, boot), "::/"])
    run(["syslinux", "--install", "--offset", str(MIB), str(disk)])
    _write_root(disk, root, 1 + boot_mib, root_mib)


def _write_boot_code(disk: Path) -> None:
    """Put syslinux' master boot record in front of the partition table."""
    code = next(path for path in (Path("/") / name for name in BOOT_CODE) if path.exists())
    with disk.open("r+b") as file:
        file.write(code.read_bytes()[:440])


def _write_root(disk: Path, root: Path, start_mib: int, size_mib: int) -> None:
    """Make the root filesystem inside the disk file: all files root's, room to grow online to 2 TiB."""
    options = ["-q", "-F", "-t", "ext4", "-L", "virtfleet-root", "-b", "4096", "-m", "0", "-J", "size=4"]
    features = ["-O", "^metadata_csum,^64bit,uninit_bg", "-E", f"offset={start_mib * MIB},resize=536870912"]
    command = ["mke2fs", *options, *features, "-d", str(root), str(disk), f"{size_mib}M"]
    run(command if os.geteuid() == 0 else ["fakeroot", *command])
