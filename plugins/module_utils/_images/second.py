# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second opinion on an image, where the host has one: the inspector that Nova and Glance use, of oslo.utils.

Debian 12 (6.0) and Ubuntu 24.04 (7.1) package an oslo.utils from before it had an inspector, Enterprise Linux none, and
hosts get distribution packages only. So our own inspector decides everywhere, and this one may only object. The tests
compare the two on every hostile image.
"""

from __future__ import annotations

try:
    from oslo_utils.imageutils import format_inspector
except ImportError:
    format_inspector = None

# A raw disk with a partition table is one, whatever is odd about the table: it names no file.
ALSO = {"raw": ("gpt", "mbr")}


def objection(path: str, declared: str) -> str:
    """Return what the other inspector has against the image, or nothing."""
    if format_inspector is None:
        return ""
    try:
        found = format_inspector.detect_file_format(path)
        if str(found) in ALSO.get(declared, ()):
            return ""
        if str(found) != declared:
            return f"oslo.utils takes it for {found}"
        found.safety_check()
    except (format_inspector.ImageFormatError, format_inspector.SafetyCheckFailed) as error:
        return f"oslo.utils says: {error}"
    return ""
