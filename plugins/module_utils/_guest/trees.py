# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two file trees of the guest: stage 1 (initrd) and the root filesystem. Private to this collection."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .._model.errors import ItemError
from . import recipe
from .tools import run

LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "lib64/ld-linux-x86-64.so.2"
# Programs that busybox does not have; their libraries are found by what they say they need.
PROGRAMS = ("usr/sbin/dropbear", "usr/bin/dropbearkey", "usr/sbin/qemu-ga", "usr/bin/jq", "usr/sbin/resize2fs")
MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
EMPTY = ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "var/lib", "var/log", "usr/lib64", LIBRARIES)


def find(packages: Path, path: str) -> Path:
    """Return a file of the unpacked packages, whether that release has /usr merged or not."""
    for candidate in (packages / path, packages / path.replace("usr/", "", 1), packages / "usr" / path):
        if candidate.is_file():
            return candidate
    raise ItemError(f"the packages of this release have no {path}: this release is not supported yet")


def write(path: Path, content: bytes, executable: bool = False) -> None:
    """Leave the content in the file, with a mode that does not depend on the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if executable else 0o644)


def own_files(tree: Path, files: Mapping[str, str], prefix: str) -> None:
    """Put our own files that lie below the prefix into the tree; scripts become executable."""
    for name, text in files.items():
        if name.startswith(prefix):
            write(tree / name[len(prefix) :], text.encode(), executable=text.startswith("#!"))


def busybox(tree: Path, packages: Path, flat: bool) -> None:
    """Put busybox and a link for each of its commands into the tree, all of them in /bin if flat."""
    program = find(packages, "usr/bin/busybox")
    write(tree / "bin/busybox", program.read_bytes(), executable=True)
    for command in run([str(program), "--list-full"]).split():
        link = tree / ("bin/" + Path(command).name if flat else command)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists() and not link.is_symlink():
            link.symlink_to("/bin/busybox")


def libraries(packages: Path, programs: Sequence[Path]) -> dict[str, Path]:
    """Return the shared libraries, name -> file, that the programs need to run."""
    found: dict[str, Path] = {}
    wanted = list(programs)
    while wanted:
        said = run(["objdump", "-p", *map(str, wanted)])
        names = sorted(set(re.findall(r"NEEDED +(\S+)", said)) - set(found))
        found.update((name, find(packages, f"{LIBRARIES}/{name}")) for name in names if not name.startswith("ld-"))
        wanted = [found[name] for name in names if name in found]
    return found


def root_tree(tree: Path, packages: Path, files: Mapping[str, str]) -> None:
    """Fill the tree with the root filesystem of the guest."""
    for directory in EMPTY:
        (tree / directory).mkdir(parents=True, exist_ok=True)
    for link, target in MERGED.items():
        (tree / target).mkdir(parents=True, exist_ok=True)
        (tree / link).symlink_to(target)
    own_files(tree, files, "root/")
    programs = [find(packages, path) for path in PROGRAMS]
    for path, program in zip(PROGRAMS, programs):
        write(tree / path, program.read_bytes(), executable=True)
    for name, library in libraries(packages, programs).items():
        write(tree / LIBRARIES / name, library.read_bytes(), executable=True)
    write(tree / LOADER, find(packages, f"{LIBRARIES}/{Path(LOADER).name}").read_bytes(), executable=True)
    busybox(tree, packages, flat=False)
    (tree / "root").chmod(0o700)
    (tree / "tmp").chmod(0o1777)
    (tree / "etc/shadow").chmod(0o600)


def initrd_tree(tree: Path, packages: Path, files: Mapping[str, str]) -> str:
    """Fill the tree with stage 1 and return the version of the kernel it belongs to."""
    for directory in ("bin", "dev", "proc", "sys", "new", "modules"):
        (tree / directory).mkdir(parents=True)
    own_files(tree, files, "initrd/")
    busybox(tree, packages, flat=True)
    modules = kernel_modules(packages)
    run(["depmod", "-b", str(packages), modules.name])
    drivers = recipe.load_order((modules / "modules.dep").read_text(), (modules / "modules.builtin").read_text())
    for driver in drivers:
        write(tree / "modules" / f"{recipe.driver_name(driver)}.ko", decompressed(modules / driver))
    write(tree / "modules/order", "".join(f"{recipe.driver_name(driver)}.ko\n" for driver in drivers).encode())
    return modules.name


def kernel_modules(packages: Path) -> Path:
    """Return the directory with the modules of the one kernel that was unpacked."""
    found = [*packages.glob("lib/modules/*"), *packages.glob("usr/lib/modules/*")]
    if not found:
        raise ItemError("the kernel package has no modules: this release is not supported yet")
    return sorted(found)[-1]


def decompressed(module: Path) -> bytes:
    """Return a kernel module as insmod wants it; its signature stays valid."""
    if module.suffix == ".zst":
        return _zstd(module)
    content = module.read_bytes()
    if module.suffix == ".xz":
        return lzma.decompress(content)
    return gzip.decompress(content) if module.suffix == ".gz" else content


def _zstd(module: Path) -> bytes:
    """Return the content of a zstd file, through the tool: Python reads it only since 3.14."""
    run(["zstd", "-dqf", str(module), "-o", str(module.with_suffix(""))])
    return module.with_suffix("").read_bytes()
