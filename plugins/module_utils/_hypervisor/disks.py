# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the domains of a host have as disks. Private to this collection."""

from __future__ import annotations

from typing import Any

from .._xml.tree import parse
from .connection import failing_to, is_gone, libvirt, listed


def disk_files(connection: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (uuid, name, files) of every domain, ours or not, running or not; one that goes away is left out.

    The files are those of the definition and of the running guest, which may differ, with all that libvirt knows of
    their chains.
    """
    found = []
    for domain in listed(connection):
        with failing_to(f"read domain {domain.name()}"):
            try:
                texts = {domain.XMLDesc(0), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)}
            except libvirt.libvirtError as error:
                if is_gone(error):
                    continue
                raise
        found.append(
            (domain.UUIDString(), domain.name(), tuple(sorted({one for text in texts for one in files(text)})))
        )
    return found


def files(text: str) -> set[str]:
    """Return every file that a domain's XML names as the source of something."""
    return {source.get("file") for source in parse(text).iter("source") if source.get("file")}
