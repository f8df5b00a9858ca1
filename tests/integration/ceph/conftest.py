# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away Ceph cluster in a folder of its own."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile

import libvirt
import pytest

from .cluster import Cluster


@pytest.fixture(scope="session")
def cluster():
    """A running cluster; gone, with all its data, at the end."""
    missing = [tool for tool in ("ceph-mon", "ceph-osd", "rbd") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install ceph-mon ceph-osd ceph-common")
    # The configuration must be readable by the user of QEMU; the keyrings in it are not.
    folder = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp", prefix="vfceph-"))
    folder.chmod(0o755)
    one = Cluster(folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()
        forget_keys(one.folder)
        shutil.rmtree(one.folder, ignore_errors=True)


def forget_keys(folder):
    """Take the keys of the cluster from this machine's libvirt, which guests of ours gave it."""
    with contextlib.closing(libvirt.open("qemu:///system")) as connection:
        for secret in connection.listAllSecrets(0):
            if f" of {folder}/" in secret.usageID():
                secret.undefine()
