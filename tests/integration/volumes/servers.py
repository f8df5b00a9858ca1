# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage servers of the tests: an NBD server and an iSCSI target with files, where the hosts of the lab reach them."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time

import pytest

GIB = 2**30
TARGET = "iqn.2026-01.org.example:vfv"
CONTROL = "4711"  # tgtd's own number for its control socket


def disk(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Return an empty file of one GiB, and what LUKS needs beside it."""
    path = folder / name
    with path.open("wb") as stream:
        stream.truncate(GIB + 2 * 2**20)
    return path


class Nbd:
    """An export `disk` of qemu-nbd."""

    def __init__(self, folder: pathlib.Path, address: str, port: int = 10899):
        self.server, self.path = f"{address}:{port}", disk(folder, "nbd")
        command = ["qemu-nbd", "-f", "raw", "-x", "disk", "-b", address, "-p", str(port), "-e", "4", "--persistent"]
        self.process = subprocess.Popen([*command, str(self.path)])

    def stop(self) -> None:
        """Nothing of it runs any more."""
        self.process.terminate()
        self.process.wait()


class Iscsi:
    """LUN 1 of a target of tgtd, for a user with a password where one is given."""

    def __init__(self, folder: pathlib.Path, address: str, user: str = "", password: str = "", port: int = 13260):
        if not shutil.which("tgtd"):
            pytest.skip("tgtd is not installed: apt-get install tgt")
        self.server, self.path = f"{address}:{port}", disk(folder, "iscsi")
        self.process = subprocess.Popen(["tgtd", "-f", "-C", CONTROL, "--iscsi", f"portal={address}:{port}"])
        self.admin("--op", "show", "--mode", "sys", until=time.monotonic() + 10)
        self.admin("--op", "new", "--mode", "target", "--tid", "1", "--targetname", TARGET)
        lun = ["--mode", "logicalunit", "--tid", "1", "--lun", "1", "--backing-store", str(self.path)]
        self.admin("--op", "new", *lun)
        self.admin("--op", "bind", "--mode", "target", "--tid", "1", "--initiator-address", "ALL")
        if user:
            self.admin("--op", "new", "--mode", "account", "--user", user, "--password", password)
            self.admin("--op", "bind", "--mode", "account", "--tid", "1", "--user", user)

    def admin(self, *words: str, until: float = 0.0) -> None:
        """Tell the server something, at most until then."""
        while True:
            done = subprocess.run(["tgtadm", "-C", CONTROL, "--lld", "iscsi", *words], capture_output=True, check=False)
            if not done.returncode:
                return
            if time.monotonic() > until:
                raise RuntimeError(f"{words}: {done.stderr!r}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Nothing of it runs any more; it does not listen to a SIGTERM while it has a target."""
        self.process.kill()
        self.process.wait()
