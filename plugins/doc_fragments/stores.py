# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module takes that looks for what is left of instances outside the directories of the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Where else things may be."""

    DOCUMENTATION = r"""
options:
  stores:
    description:
      - The pools of Ceph and the volume groups of LVM to look into, as P(virtfleet.compute.stores_of#filter) returns
        them. Those that disks of the host's domains are in are looked into as well.
    type: list
    elements: dict
    default: []
"""
