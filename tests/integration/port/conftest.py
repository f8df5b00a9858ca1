# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real taps, bridges, rules and frames, in a network of the test's own: the machine's is not touched. Needs root.

The tests call what the module `ports` calls; the module itself has tests/integration/targets/ports.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments):
        raise OSError(ctypes.get_errno(), function.__name__)


@pytest.fixture(scope="session", autouse=True)
def own_network():
    """Move this process into a network and mount namespace of its own, with its own view of /sys, and back."""
    if os.geteuid():
        pytest.skip("needs root: makes taps, bridges and rules in a network namespace")
    back = {
        kind: os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
        for kind, name in ((CLONE_NEWNET, "net"), (CLONE_NEWNS, "mnt"))
    }
    here = os.getcwd()
    call(LIBC.unshare, CLONE_NEWNET | CLONE_NEWNS)
    subprocess.run("mount --make-rprivate / && mount -t sysfs vfn /sys && ip link set lo up", shell=True, check=True)
    yield
    for kind, handle in back.items():
        call(LIBC.setns, handle, kind)
        os.close(handle)
    os.chdir(here)


# The collection can be imported only after pytest-ansible has found it, later than this file: hence inside.
@pytest.fixture
def shell():
    """Run a command and return what it prints."""
    from node import sh

    return sh


@pytest.fixture
def record():
    """Return the record of an instance with one port."""
    from node import instance

    return instance


@pytest.fixture
def node(tmp_path, own_network):
    """A host for one test."""
    from node import Node, clean

    yield Node(tmp_path)
    clean()


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory, own_network):
    """A host for the tests of one file."""
    from node import Node, clean

    yield Node(tmp_path_factory.mktemp("node"))
    clean()
