# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system that all hosts have in common: a small Debian, built once and kept in a cache."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from pathlib import Path

from commands import run
from settings import CACHE, ROOT, LabError

SUITE = "bookworm"
DEFAULTS = ROOT / "roles/compute_host/defaults/main.yml"
# Beside what role compute_host wants of a Debian host: a way in, and what people look around with.
MORE = ("openssh-server", "python3", "python3-apt", "python3-pycdlib", "iproute2", "nftables", "busybox", "procps")
UNWANTED = ("doc", "info", "locale", "man")


def packages() -> list[str]:
    """Return the packages of the file system."""
    try:
        import yaml
    except ImportError:
        raise LabError("this Python lacks PyYAML: run the lab with the project's own, `make lab`")
    known = yaml.safe_load(DEFAULTS.read_text())
    disks = known["compute_host_store_packages"]["iscsi"]["debian"]
    return sorted({*known["compute_host_packages"]["debian"], *disks, *MORE})


def path() -> Path:
    """Return where the file system is or will be; other packages are another file system."""
    key = hashlib.sha256(" ".join([SUITE, *packages(), *UNWANTED]).encode()).hexdigest()[:12]
    return CACHE / f"{SUITE}-{key}"


def ensure() -> Path:
    """The file system is there, read by hosts and written by nobody; return its path.

    Of several labs that start at once, one builds it and the others wait.
    """
    target = path()
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return target if target.is_dir() else build(target)


def build(target: Path) -> Path:
    """The file system is built and in its place; return its path."""
    if not shutil.which("mmdebstrap"):
        raise LabError("mmdebstrap is not installed: apt-get install mmdebstrap debian-archive-keyring")
    print(f"building {target}, once: about half a minute", flush=True)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNWANTED]
    keyring = "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"
    chosen = f"--include={','.join(packages())}"
    run("mmdebstrap", "--quiet", "--variant=minbase", keyring, *excludes, chosen, SUITE, partial)
    for stale in (partial / "etc/ssh").glob("ssh_host_*"):
        stale.unlink()
    partial.rename(target)
    return target
