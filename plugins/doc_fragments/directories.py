# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module takes that keeps something of its own on the host."""

from __future__ import annotations


class ModuleDocFragment:
    """Where things are on the host."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description: Where the collection keeps what must survive a reboot of the host.
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the collection keeps locks and what a reboot may take.
    type: path
    default: /run/virtfleet
"""
