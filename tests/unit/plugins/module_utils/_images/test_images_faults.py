# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed anywhere, and a connection that is cut anywhere: nothing half-made is used, the next repairs."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, image
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

COLLECTIONS = next(
    one for one in pathlib.Path(cache.__file__).absolute().parents if one.name == "ansible_collections"
).parent
RUN = """
import json, sys
from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, image
images, run_dir, record = json.loads(sys.argv[1])
cache.ensure(images, run_dir, image.from_record(record), None)
"""


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Run:
    """A run in a process of its own, which can be killed with whatever it has started."""

    def __init__(self, host, record):
        self.images = pathlib.Path(host.images)
        argument = json.dumps([host.images, host.run_dir, record])
        environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
        command = [sys.executable, "-c", RUN, argument]
        self.process = subprocess.Popen(command, env=environment, start_new_session=True)

    def kill_when(self, suffix, size):
        """Kill it as soon as a file of the cache with this suffix is that large."""
        deadline = time.monotonic() + 30
        while not any(one.stat().st_size >= size for one in self.images.glob(f"*{suffix}")):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def after(host, record, content):
    """A run that was killed left nothing that is used, and the next one has the image and nothing beside it."""
    wanted = image.from_record(record)
    assert cache.find(host.images, wanted) is None
    assert not [name for name in host.names() if name.endswith((".qcow2", ".raw", ".json")) and ".part" not in name]
    base = cache.ensure(host.images, host.run_dir, wanted, None)
    assert pathlib.Path(cache.path(host.images, base)).read_bytes() == content
    assert len(host.names()) == 2


@pytest.mark.parametrize("size", [1, 65536, 400000])
def test_a_run_that_is_killed_while_it_downloads(host, disk, size):
    host.web.delay = 0.05
    record = {"name": "disk", "url": host.web.url("/disk.qcow2"), "checksum": host.digest, "disk_format": "qcow2"}
    Run(host, record).kill_when(".part", size)
    host.web.delay = 0
    after(host, record, disk)
    assert int(host.web.requests[-1][1][6:-1]) >= size  # and what it had is not fetched again


@pytest.mark.parametrize("size", [1, 3 * 2**20])
def test_a_run_that_is_killed_while_it_unpacks(host, size):
    content = os.urandom(2**20) * 12
    archive = gzip.compress(content, 1)
    host.web.files["/raw.gz"] = archive
    record = {"name": "raw", "url": host.web.url("/raw.gz"), "checksum": digest(archive), "disk_format": "raw"}
    Run(host, record).kill_when(".part.plain", size)
    after(host, record, content)
    assert len(host.web.requests) == 1  # the archive was whole


def test_a_connection_cut_at_any_byte(host, tmp_path):
    content = os.urandom(1024)
    host.web.files["/small"] = content
    record = {"name": "small", "url": host.web.url("/small"), "checksum": digest(content), "disk_format": "raw"}
    for cut in [*range(0, 1024, 37), 1023]:
        host.web.cut = cut
        wanted = image.from_record({**record, "name": f"small-{cut}", "checksum": digest(content)})
        images = str(tmp_path / f"cut-{cut}")
        with pytest.raises(ItemError, match=f"the download ended after {cut} of 1024 bytes; run again to go on"):
            cache.ensure(images, host.run_dir, wanted, None)
        assert cache.find(images, wanted) is None
        host.web.cut = None
        base = cache.ensure(images, host.run_dir, wanted, None)
        assert pathlib.Path(cache.path(images, base)).read_bytes() == content
        assert host.web.requests[-1][1] == f"bytes={cut}-"


@pytest.mark.parametrize("declared", [-1, 1, 10000])
def test_a_length_that_is_not_true_is_never_believed(host, disk, declared):
    host.web.lie = declared
    if declared < 0:  # shorter than it is: what comes is cut, and no image
        assert "checksum of http" in host.refusal()[0]
    else:
        assert f"ended after {len(disk)} of {len(disk) + declared} bytes" in host.refusal()[0]
    host.web.lie = 0
    assert host.ensure().checksum == host.digest


def test_a_range_that_begins_elsewhere_is_not_written(host):
    host.web.cut = 100000
    host.refusal()
    host.web.cut, host.web.shift = None, 4096
    assert "from byte 104096 on, but 100000 was asked for" in host.refusal()[0]
    host.web.shift = 0
    assert host.ensure().checksum == host.digest
