# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control group for each host in every hierarchy of this machine: its libvirt limits guests below it, and the whole
host can be frozen."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from settings import Host, Lab, LabError


def hierarchies(mounts: str | None = None) -> dict[Path, str]:
    """Return where this machine mounts control groups, and for version 1 the options that name each hierarchy."""
    found: dict[Path, str] = {}
    for line in (mounts or Path("/proc/self/mounts").read_text()).splitlines():
        _device, where, kind, options = line.split()[:4]
        if kind == "cgroup2":
            found[Path(where)] = ""
        elif kind == "cgroup":
            plain = {"rw", "ro", "relatime", "nosuid", "nodev", "noexec", "xattr", "seclabel"}
            words = [word for word in options.split(",") if word not in plain and not word.startswith("release_agent=")]
            found[Path(where)] = ",".join(["none", *words] if words[0].startswith("name=") else words)
    return found


def of_host(host: Host) -> list[Path]:
    """Return the control groups of the host, whether they are there or not."""
    return [where / f"{host.lab.name}-lab" / host.name for where in hierarchies()]


def ensure(host: Host) -> list[Path]:
    """The control groups of the host are there; return them."""
    made = []
    for where, options in hierarchies().items():
        group = where / f"{host.lab.name}-lab" / host.name
        try:
            if not options:
                _delegate(where, group.parent)
            group.mkdir(parents=True, exist_ok=True)
            if "cpuset" in options.split(","):
                _fill_cpuset(where, group)
        except OSError as error:
            raise LabError(f"cannot make control group {group}: {error.strerror}: the lab needs a root that may do so")
        made.append(group)
    return made


def _delegate(*groups: Path) -> None:
    """Groups of version 2 pass all their controllers on; those that the machine keeps to itself stay there."""
    for group in groups:
        group.mkdir(exist_ok=True)
        for controller in (group / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _fill_cpuset(where: Path, group: Path) -> None:
    """A new cpuset of version 1 is empty, and an empty one takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        value = (where / name).read_text()
        for one in (group.parent, group):
            (one / name).write_text(value)


def freeze(host: Host, frozen: bool) -> None:
    """All processes of the host and of its guests stand still, or go on."""
    for group in of_host(host):
        if (group / "freezer.state").exists():
            (group / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
            return
    for group in of_host(host):
        if (group / "cgroup.freeze").exists():
            (group / "cgroup.freeze").write_text("1" if frozen else "0")
            return
    raise LabError("this machine has no freezer among its control groups")


def is_frozen(host: Host) -> bool:
    """Tell whether the host stands still."""
    for group in of_host(host):
        with contextlib.suppress(OSError):
            return (group / "freezer.state").read_text().strip() != "THAWED"
    for group in of_host(host):
        with contextlib.suppress(OSError):
            return (group / "cgroup.freeze").read_text().strip() == "1"
    return False


def remove(host: Host) -> None:
    """The host, which must be dead, has no control groups."""
    for group in of_host(host):
        _remove_tree(group)


def remove_all(lab: Lab) -> None:
    """The lab has no control groups."""
    for where in hierarchies():
        _remove_tree(where / f"{lab.name}-lab")


def _remove_tree(top: Path) -> None:
    """The group and those below it are gone; the kernel may need a moment after the last process died."""
    for folder, _folders, _files in os.walk(top, topdown=False):
        end = time.monotonic() + 5
        while True:
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise LabError(f"control group {folder} still has processes: {error.strerror}")
                time.sleep(0.02)
