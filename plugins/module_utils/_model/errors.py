# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that everything below the edges raises. Private to this collection."""

from __future__ import annotations


class ItemError(Exception):
    """One thing of a list cannot be done: one sentence with the thing, the number and the way out.

    Args:
        message: what a user reads, for example "no space left in /var/lib/virtfleet: need 20 GiB, have 7 GiB".
        fault: who has to act. "host": another host may succeed (Nova reschedules), "request": no host will
            (Nova aborts the build).
    """

    def __init__(self, message: str, fault: str = "host") -> None:
        super().__init__(message)
        self.fault = fault
