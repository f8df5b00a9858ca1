# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NumPy, or None where it is not installed, so that the plugins' documentation can be read without it."""

from __future__ import annotations

from .names import refuse

try:
    import numpy as np
except ImportError:
    np = None


def need_numpy() -> None:
    """Refuse to decide without NumPy."""
    if np is None:
        refuse("the scheduler needs NumPy on the controller: install python3-numpy, or numpy where Ansible's Python is")
