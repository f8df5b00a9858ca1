# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OVN for tests: unpacked, not installed, and run in namespaces of the test's own. Needs root."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
for folder in (HERE, HERE.parent, HERE.parent / "port"):
    sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def ovn_root():
    """The folder with Open vSwitch and OVN."""
    if os.geteuid():
        pytest.skip("needs root: makes network namespaces")
    tool = ROOT / "tests/tools/ovn-root"
    return subprocess.run([str(tool)], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


# The collection can be imported only after pytest-ansible has found it, later than this file: hence inside.
@pytest.fixture(scope="module")
def fleet(ovn_root, tmp_path_factory):
    """Two hosts of OVN for the tests of one file."""
    from fleet import Fleet

    made = Fleet(tmp_path_factory.mktemp("ovn"), ovn_root)
    yield made
    made.close()


@pytest.fixture(scope="session")
def ovn_lab(tmp_path_factory):
    """A lab of two hosts with OVN, for the tests of all files."""
    from ovn_lab import OvnLab

    made = OvnLab(tmp_path_factory.mktemp("ovn"))
    try:
        made.up()
        yield made
    finally:
        made.lab.down()
