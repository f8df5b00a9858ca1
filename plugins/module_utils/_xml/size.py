# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a domain may be, of its document. Private to this collection."""

from __future__ import annotations

from typing import Any

UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 10**3,
    "k": 2**10,
    "KiB": 2**10,
    "MB": 10**6,
    "M": 2**20,
    "MiB": 2**20,
    "G": 2**30,
    "GiB": 2**30,
}


def memory_mb(root: Any) -> int:
    """Return the memory a domain may use, in MiB; libvirt writes KiB but a document may say otherwise."""
    node = root.find("memory")
    return int(node.text) * UNITS.get(node.get("unit", "KiB"), 1024) // 2**20 if node is not None else 0


def vcpus(root: Any) -> int:
    """Return how many vCPUs a domain may have."""
    return int(root.findtext("vcpu") or 1)
