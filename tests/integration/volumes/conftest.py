# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all tests of volumes."""

from __future__ import annotations

import pytest

from ..labs import Lab
from .world import World, wipe


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    lab = Lab(folder, "vfvolume", "10.83.0.0/16", hosts=2)
    lab.up()
    (lab.shared / "volumes").mkdir(exist_ok=True)
    for host in ("kvm1", "kvm2"):  # the hosts may not write there by themselves
        lab.on(host, "mount -o remount,bind,rw /srv/lab")
    one = World(lab, folder)
    yield one
    wipe(one)
    lab.down()


@pytest.fixture(autouse=True)
def fresh(world):
    """No guest and no volume of another test is there, whatever became of it."""
    wipe(world)
