# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks in a real volume group, in a Debian that QEMU emulates."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from ..emulated import Machine
from ..labs import ROOT


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A running Debian with LVM."""
    one = Machine(tmp_path_factory.mktemp("lvm"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


def test_thick_and_thin_volumes(machine, tmp_path):
    shutil.copytree(ROOT / "plugins", tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("inside.py", "guest.py"):
        shutil.copyfile(pathlib.Path(__file__).with_name(name), tmp_path / name)
    machine.send(tmp_path, "/root/code")
    told = machine.run("python3 /root/code/inside.py 2>&1 || true", timeout=1800)
    print(told)
    assert "FAILED" not in told and told.count("\nok ") + told.startswith("ok ") == 17, told
