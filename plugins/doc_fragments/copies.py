# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that copies the disks of instances takes."""

from __future__ import annotations


class ModuleDocFragment:
    """Where things are on the host."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description: Where the instances live on the host.
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the locks are.
    type: path
    default: /run/virtfleet
  keys:
    description:
      - The passphrases of encrypted volumes, by their names. A disk is opened by one only while its guest is off; a
        running guest has its own. The copy of an encrypted disk is encrypted with the same.
    type: dict
    default: {}
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
"""
