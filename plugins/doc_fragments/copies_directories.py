# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module takes that looks at all snapshots and backups of a host."""

from __future__ import annotations


class ModuleDocFragment:
    """Where they are."""

    DOCUMENTATION = r"""
options:
  snapshots_directory:
    description: Where the snapshots are on the host.
    type: path
    default: /var/lib/virtfleet/snapshots
  backups_directory:
    description: Where the backups are on the host.
    type: path
    default: /var/lib/virtfleet/backups
"""
