# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host found out about itself and keeps in host.json. Private to this collection."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EMULATORS = ("/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm")
KVM = "/dev/kvm"


def kvm_closed(path: str = KVM) -> bool:
    """Return whether the device is there and its group, kvm on all distributions, may not use it.

    udev opens it to the group. Without udev it stays root's, and then libvirt, whose guests are not root, asks QEMU for
    its capabilities anew at each look: 0.9 s and some 20 times for each start (libvirt 9.0, measured 16 s a guest).
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return mode & 0o060 != 0o060


def emulator() -> str:
    """Return the path of QEMU on this host, or an empty string."""
    return next((path for path in EMULATORS if os.access(path, os.X_OK)), "")


def fingerprint() -> dict[str, Any]:
    """Return what the finding depends on: kernel, QEMU (by path, size and time of its file) and /dev/kvm."""
    path = emulator()
    stat = os.stat(path) if path else None
    return {
        "kernel": os.uname().release,
        "emulator": f"{path}:{stat.st_size}:{stat.st_mtime_ns}" if stat else "",
        "kvm_device": os.path.exists(KVM),
    }


def remembered(host: Mapping[str, Any], wanted: str, now: Mapping[str, Any]) -> str:
    """Return the virt type that need not be looked for again, or an empty string.

    Args:
        host: content of host.json.
        wanted: auto, kvm or qemu.
        now: fingerprint of the host.
    """
    if host.get("virt_type_wanted") != wanted:
        return ""
    if wanted != "auto":
        return host["virt_type"] if host.get("virt_type") == wanted else ""
    known = {key: host.get(key) for key in now}
    return host.get("virt_type", "") if known == dict(now) else ""


def load(state_dir: str) -> dict[str, Any]:
    """Return the content of host.json, empty if there is none that can be read."""
    try:
        host = json.loads((Path(state_dir) / "host.json").read_text())
    except (OSError, ValueError):
        return {}
    return host if isinstance(host, dict) else {}


def save(state_dir: str, facts: Mapping[str, Any]) -> None:
    """Leave the facts in host.json beside what else it says."""
    path = Path(state_dir) / "host.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    new = path.with_name(f".host.json.{os.getpid()}")
    new.write_text(json.dumps({**load(state_dir), **facts}, indent=2, sort_keys=True) + "\n")
    new.chmod(0o644)
    os.replace(new, path)
