# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that move from one backend to another, broken off at every step; an NBD server is a real one."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import time
import uuid

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import alone, file, nbd, qcow2, raw, retype
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes.volume import Volume

GIB = 2**30
IDENTITY = str(uuid.uuid5(uuid.NAMESPACE_URL, "vfs-retype"))


class Host:
    """A host with a volume in plain qcow2 files that holds a word, and a directory for another type."""

    def __init__(self, directory):
        self.state, self.run = str(directory / "state"), str(directory / "run")
        self.shared = directory / "shared"
        self.shared.mkdir()
        self.old = alone.provide(self.volume({"backend": "qcow2"}), self.state, self.run).facts["path"]
        self.io(self.old, "qcow2", "write -P 0x41 1M 64k")

    def volume(self, kind, origin=None):
        item = {"name": "data", "id": IDENTITY, "size_gb": 1, **kind}
        return item if origin is None else {**item, "origin": origin}

    def move(self, kind, origin, keys=None):
        return retype.retype(self.volume(kind, origin), self.state, self.run, keys or {})

    @staticmethod
    def io(path, disk_format, command):
        done = subprocess.run(
            ["qemu-io", "-f", disk_format, "-c", command, path], capture_output=True, text=True, check=True
        )
        assert "Pattern verification failed" not in done.stdout, done.stdout

    def there(self):
        folders = (pathlib.Path(self.state, "volumes"), self.shared)
        return sorted(path.name.removeprefix(IDENTITY) for folder in folders for path in folder.glob("*"))


PLAIN = {"backend": "qcow2"}


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def raw_type(host):
    return {"backend": "raw", "pool": {"directory": str(host.shared), "shared": True}}


def test_it_has_moved_once_and_goes_back(host, raw_type):
    assert retype.planned(host.volume(raw_type, PLAIN), host.state).changed and host.there() == [".json", ".qcow2"]
    outcome = host.move(raw_type, PLAIN)
    assert outcome.changed and outcome.before["backend"] == "qcow2" and outcome.after["backend"] == "raw"
    assert host.there() == [".json", ".raw"] and host.shared.joinpath(f"{IDENTITY}.raw").stat().st_size == GIB
    host.io(outcome.facts["path"], "raw", "read -P 0x41 1M 64k")
    assert not host.move(raw_type, PLAIN).changed
    assert not alone.provide(host.volume(raw_type), host.state, host.run).changed
    assert host.move(PLAIN, raw_type).changed and host.there() == [".json", ".qcow2"]
    host.io(host.old, "qcow2", "read -P 0x41 1M 64k")
    # Files of both kinds in one directory have one record.
    assert host.move({"backend": "raw"}, PLAIN).changed and host.there() == [".json", ".raw"]
    assert not host.move({"backend": "raw"}, PLAIN).changed
    assert not alone.provide(host.volume({"backend": "raw"}), host.state, host.run).changed


@pytest.mark.parametrize("step", ["convert", "compare", "remember", "publish", "remove"])
def test_a_run_that_is_broken_off_loses_nothing_and_the_next_goes_on(host, raw_type, monkeypatch, step):
    class Killed(BaseException):
        """Nothing after it is done, as nothing is after a SIGKILL."""

    def killed(*_arguments, **_more):
        raise Killed

    real = retype.run
    with monkeypatch.context() as patched:
        if step in ("convert", "compare"):
            patched.setattr(
                retype, "run", lambda words, *a, **k: killed() if words[0] == step else real(words, *a, **k)
            )
        else:
            patched.setattr(qcow2 if step == "remove" else raw, step, killed)
        with pytest.raises(Killed):
            host.move(raw_type, PLAIN)
    whole = [name for name in host.there() if name in (".qcow2", ".raw")]
    assert whole
    assert host.move(raw_type, PLAIN).changed and host.there() == [".json", ".raw"]
    host.io(str(host.shared / f"{IDENTITY}.raw"), "raw", "read -P 0x41 1M 64k")


def test_what_else_lies_where_it_is_to_go_is_not_overwritten(host, raw_type):
    path = alone.provide(host.volume(raw_type), host.state, host.run).facts["path"]
    host.io(path, "raw", "write -P 0x42 0 512")
    with pytest.raises(ItemError, match="is something else than volume data"):
        host.move(raw_type, PLAIN)
    host.io(path, "raw", "read -P 0x42 0 512")
    host.io(host.old, "qcow2", "read -P 0x41 1M 64k")


def test_what_is_refused(host, raw_type, monkeypatch):
    with pytest.raises(ItemError, match="cannot change where it is"):
        host.move({"backend": "qcow2", "encryption": "luks", "key": "safe"}, PLAIN)
    with pytest.raises(ItemError, match=r"is neither at .* nor at"):
        host.move({"backend": "raw"}, {"backend": "qcow2", "pool": {"directory": str(host.shared), "shared": True}})
    monkeypatch.setattr(file, "in_use", lambda volume: True)
    monkeypatch.setattr(qcow2, "in_use", lambda volume: True)
    with pytest.raises(ItemError, match="is in use by a guest: detach it first"):
        host.move(raw_type, PLAIN)


@pytest.fixture
def server(tmp_path):
    """An NBD server with an empty disk of one GiB."""
    path = tmp_path / "export"
    with path.open("wb") as stream:
        stream.truncate(GIB)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "qemu-nbd",
        "-f",
        "raw",
        "-x",
        "disk",
        "-b",
        "127.0.0.1",
        "-p",
        str(port),
        "-e",
        "4",
        "--persistent",
        path,
    ]
    with subprocess.Popen(command) as process:
        kind = {"backend": "nbd", "pool": {"server": f"127.0.0.1:{port}", "location": "disk"}}
        end = time.monotonic() + 10
        while True:
            try:
                nbd.remembered(wanted(kind))
                break
            except ItemError:
                assert time.monotonic() < end
                time.sleep(0.1)
        yield kind, path
        process.kill()


def wanted(kind):
    return Volume("data", "nbd", "raw", "disk", GIB, pool=kind["pool"])


def test_a_disk_of_a_server_is_filled_if_it_is_empty_and_is_never_made_or_deleted(host, server, raw_type):
    kind, path = server
    assert not alone.provide(host.volume(kind), host.state, host.run).changed
    assert host.move(kind, PLAIN).changed and host.there() == []
    assert not host.move(kind, PLAIN).changed
    with path.open("rb") as stream:
        stream.seek(2**20)
        assert stream.read(512) == b"A" * 512
    assert not alone.withdraw(host.volume(kind), host.state, host.run).changed and path.exists()
    assert host.move(raw_type, kind).changed and host.there() == [".json", ".raw"]
    assert not host.move(raw_type, kind).changed
    with pytest.raises(ItemError, match=r"is smaller than 2 GiB on .*: extend it there first"):
        alone.provide({**host.volume(kind), "size_gb": 2}, host.state, host.run)
    gone = {"backend": "nbd", "pool": {**kind["pool"], "location": "other"}}
    with pytest.raises(ItemError, match="failed to find volume data on"):
        alone.provide(host.volume(gone), host.state, host.run)
    (path.parent / "other").mkdir()
    other = Host(path.parent / "other")
    other.io(other.old, "qcow2", "write -P 0x43 0 512")
    with pytest.raises(ItemError, match="is something else than volume data"):
        other.move(kind, PLAIN)
    assert json.loads(pathlib.Path(os.path.dirname(other.old), f"{IDENTITY}.json").read_text())["backend"] == "qcow2"
