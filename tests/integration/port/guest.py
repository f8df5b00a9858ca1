# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest without a machine: it opens a tap as QEMU does, sends frames and keeps what it gets."""

from __future__ import annotations

import fcntl
import os
import pathlib
import select
import struct
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FORWARDING = "3"


class Guest:
    def __init__(self, tap):
        self.handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.handle, TUNSETIFF, struct.pack("16sH22x", tap.encode(), IFF_TAP | IFF_NO_PI))
        end = time.monotonic() + 3
        while self.port_state(tap) != FORWARDING and time.monotonic() < end:  # the bridge hears of the carrier later
            time.sleep(0.02)

    @staticmethod
    def port_state(tap):
        return pathlib.Path(f"/sys/class/net/{tap}/brport/state").read_text().strip()

    def close(self):
        os.close(self.handle)

    def send(self, frame):
        os.write(self.handle, frame)

    def drain(self):
        """Forget what came so far."""
        self.frames(lambda got: False, 0.01)

    def frames(self, until, seconds=1.0):
        """Return the frames that came until one is accepted or the time is over."""
        end, got = time.monotonic() + seconds, []
        while time.monotonic() < end and not (got and until(got[-1])):
            if select.select([self.handle], [], [], max(0, end - time.monotonic()))[0]:
                got.append(os.read(self.handle, 65536))
        return got

    def sees(self, frame, seconds=1.0):
        """Say whether exactly this frame comes."""
        return frame in self.frames(lambda got: got == frame, seconds)
