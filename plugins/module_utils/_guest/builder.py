# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest image from a recipe: unpack, two trees, a disk, files renamed into place. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .._model.errors import ItemError
from . import disk, trees
from .recipe import Recipe, digest
from .tools import require, run

TOOLS = (
    *("mmdebstrap", "depmod", "objdump", "cpio", "sfdisk", "mformat", "mcopy"),
    *("syslinux", "mke2fs", "qemu-img"),
)
# What a build that was killed leaves behind is removed by a later one, but not while it may still run.
STALE_SECONDS = 3600


def products(name: str) -> tuple[str, ...]:
    """Return the names of the files of an image."""
    return (f"{name}.qcow2", "vmlinuz", "initrd", "SHA256SUMS")


def built(directory: Path, name: str) -> dict[str, str]:
    """Return what is known of the image in the directory, empty unless it is all there."""
    try:
        known = json.loads((directory / "build.json").read_text())
    except (OSError, ValueError):
        return {}
    whole = isinstance(known, dict) and all((directory / product).is_file() for product in products(name))
    return known if whole else {}


def build(recipe: Recipe, directory: Path) -> dict[str, str]:
    """Leave the image of the recipe in the directory and return what is known of it.

    The old image stays until the new one is whole; the work lies beside it and is gone afterwards.
    """
    if os.uname().machine != "x86_64":
        raise ItemError(f"the guest image is made for x86_64, and this host is {os.uname().machine}")
    require(TOOLS if os.geteuid() == 0 else (*TOOLS, "fakeroot"))
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    remove_stale(directory)
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=directory))
    try:
        work.chmod(0o755)
        kernel = _make(recipe, work)
        known = {"digest": digest(recipe), "kernel": kernel, "suite": recipe.suite}
        _publish(work, directory, products(recipe.name), known)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return known


def _make(recipe: Recipe, work: Path) -> str:
    """Make the products in the work directory and return the kernel's version."""
    packages, initrd, root = work / "packages", work / "initrd.d", work / "root.d"
    unpack(recipe, packages)
    initrd.mkdir()
    root.mkdir()
    kernel = trees.initrd_tree(initrd, packages, recipe.files)
    trees.root_tree(root, packages, recipe.files)
    trees.own_files(work, recipe.files, "boot/")
    disk.pack_initrd(initrd, work / "initrd")
    shutil.copyfile(trees.find(packages, f"boot/vmlinuz-{kernel}"), work / "vmlinuz")
    disk.write_disk(work / "disk", [work / "vmlinuz", work / "initrd", work / "syslinux.cfg"], root)
    run(
        [
            "qemu-img",
            "convert",
            "-c",
            "-f",
            "raw",
            "-O",
            "qcow2",
            str(work / "disk"),
            str(work / products(recipe.name)[0]),
        ]
    )
    return kernel


def unpack(recipe: Recipe, target: Path) -> None:
    """Leave the packages and all they depend on unpacked, not installed, in the target directory."""
    options = ["-q", "--mode=chrootless", "--variant=extract", '--aptopt=APT::Install-Recommends "0"']
    run(["mmdebstrap", *options, f"--include={','.join(recipe.packages)}", recipe.suite, str(target), *recipe.sources])


def _publish(work: Path, directory: Path, names: Sequence[str], known: dict[str, str]) -> None:
    """Rename the products into place, build.json last: only with it the image counts as there."""
    (work / "SHA256SUMS").write_text("".join(f"{sha256(work / name)}  {name}\n" for name in names[:-1]))
    (work / "build.json").write_text(json.dumps(known, indent=2) + "\n")
    (directory / "build.json").unlink(missing_ok=True)
    for name in (*names, "build.json"):
        (work / name).chmod(0o644)
        os.replace(work / name, directory / name)


def present_files(directory: Path, name: str) -> list[str]:
    """Return the names of the image's files that are there."""
    return [file for file in ("build.json", *products(name)) if (directory / file).exists()]


def remove(directory: Path, name: str) -> None:
    """Leave nothing of the image in the directory, and no directory if nothing else is in it."""
    for file in present_files(directory, name):
        (directory / file).unlink()
    if not any(directory.iterdir()):
        directory.rmdir()


def remove_stale(directory: Path) -> None:
    """Remove the work of builds that were killed long ago."""
    for left in directory.glob(".build-*"):
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    seen = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1024 * 1024), b""):
            seen.update(block)
    return seen.hexdigest()


def host_sources(candidates: Sequence[str]) -> tuple[str, ...]:
    """Return the first of the host's own source lists that names a mirror, or nothing: then apt's default is used."""
    for candidate in candidates:
        path = Path(candidate)
        lines = path.read_text().splitlines() if path.is_file() else []
        if any(line.startswith(("deb ", "URIs:")) for line in lines):
            return (candidate,)
    return ()
