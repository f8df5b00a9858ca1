# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted volumes, made by the real qemu-img: what is in them, who can read it, and where the passphrase is not."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import subprocess
import threading
import time
import uuid

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import volume_keys
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import alone, luks, qcow2, raw, retype, stage

MIB = 2**20
PASSPHRASE = "correct horse, battery = staple"
KEYS = {"data": PASSPHRASE, "safe": "the one of the type"}
IDENTITY = str(uuid.uuid5(uuid.NAMESPACE_URL, "vfs-luks"))


def volume(backend, **more):
    return {
        "name": "data",
        "id": IDENTITY,
        "backend": backend,
        "size_gb": 1,
        "encryption": "luks",
        "key": "safe",
        **more,
    }


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A passphrase is stretched for ten milliseconds: seconds of it, as users get them, are no use to a test."""
    monkeypatch.setattr(qcow2, "LUKS", ["-o", qcow2.LUKS[1] + ",encrypt.iter-time=10"])
    monkeypatch.setattr(raw, "LUKS", ["luks", "-o", raw.LUKS[2] + ",iter-time=10"])
    monkeypatch.setattr(luks, "OPTIONS", luks.OPTIONS + ",iter-time=10")


def opened(path, backend, key=PASSPHRASE, command=""):
    """Return whether qemu-io can do something to what is in the file with this passphrase."""
    driver = "driver=qcow2,encrypt.key-secret=key" if backend == "qcow2" else "driver=luks,key-secret=key"
    argv = ["qemu-io", "--object", "secret,id=key,file=/dev/stdin", "-c", command]
    argv += ["--image-opts", f"{driver},file.driver=file,file.filename={path.replace(',', ',,')}"]
    done = subprocess.run(argv, input=key, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Pattern verification failed" not in done.stdout


@contextlib.contextmanager
def arguments():
    """All arguments of all processes of this machine, as far as one can look, are in the answer at the end."""
    seen, over = set(), threading.Event()

    def look():
        while not over.wait(0.01):
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    yield seen
    over.set()
    watcher.join()


@pytest.mark.parametrize("backend", ["qcow2", "raw"])
def test_only_the_passphrase_opens_it_and_it_grows(tmp_path, backend):
    state, run = str(tmp_path / "a,b"), str(tmp_path / "run")
    with arguments() as seen:
        path = alone.provide(volume(backend), state, run, KEYS).facts["path"]
    assert [one for one in seen if b"key-secret=key" in one] and not [one for one in seen if PASSPHRASE.encode() in one]
    assert opened(path, backend, command="read 0 512")
    assert not opened(path, backend, key="something else", command="read 0 512")
    assert opened(path, backend, command="write -P 0x41 0 65536")
    assert b"A" * 512 not in pathlib.Path(path).read_bytes()
    assert not alone.provide(volume(backend), state, run, {}).changed  # nothing to open: no passphrase is asked for
    assert alone.provide(volume(backend, size_gb=2), state, run, KEYS).changed
    assert opened(path, backend, command=f"read {2 * 1024 * MIB - 512} 512")
    assert opened(path, backend, command="read -P 0x41 0 512")
    told = "".join(one.read_text() for one in pathlib.Path(state).rglob("*.json"))
    assert '"encryption": "luks"' in told and PASSPHRASE not in told


def test_the_disks_of_an_instance_take_the_passphrase_of_their_type(tmp_path):
    base = tmp_path / "base.raw"
    base.write_bytes(b"VIRTFLEET" + bytes(8 * MIB - 9))
    base.chmod(0o444)
    image = {"name": "tiny", "path": str(base), "format": "raw", "virtual_size": 8 * MIB}
    kind = {"encryption": "luks", "key": "safe"}
    for backend in ("qcow2", "raw"):
        disks = [{"name": "root", "backend": backend, "size_gb": 1, "boot_index": 0, **kind}]
        disks += [{"name": "swap", "backend": backend, "size_mb": 32, "guest_format": "swap", **kind}]
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"vfs-luks-{backend}"))
        one = {"name": "web-1", "uuid": identity, "image": image, "volumes": disks}
        root, swap = stage.provide(one, str(tmp_path / "state"), str(tmp_path / "run"), KEYS).facts["volumes"]
        assert opened(root["path"], backend, KEYS["safe"], "read -P 0x56 0 1")  # the V of the image
        assert opened(root["path"], backend, KEYS["safe"], f"read {1024 * MIB - 512} 512")
        assert opened(swap["path"], backend, KEYS["safe"], "read -P 0x53 4086 1")  # SWAPSPACE2
        assert b"SWAPSPACE2" not in pathlib.Path(swap["path"]).read_bytes()
        assert not list(tmp_path.rglob("*.plain*"))


def test_it_is_refused_without_a_passphrase_and_is_never_made_plain_or_back(tmp_path):
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    with pytest.raises(ItemError, match="is encrypted: virtfleet_volume_keys has no data or safe"):
        alone.provide(volume("qcow2"), state, run, {"other": "password"})
    assert not list(tmp_path.rglob("*.qcow2*"))
    plain = {key: value for key, value in volume("qcow2").items() if key not in ("encryption", "key")}
    alone.provide(plain, state, run)
    with pytest.raises(ItemError, match="was made with encryption none: luks would destroy its data"):
        alone.provide(volume("qcow2"), state, run, KEYS)


def test_a_host_gets_no_other_passphrase_than_it_needs():
    records = [{"volumes": [volume("raw"), {"name": "root", "encryption": "luks", "key": "boot"}, {"name": "plain"}]}]
    keys = {**KEYS, "boot": "b", "plain": "p", "root": "r"}
    assert volume_keys.needed(records, keys) == {"data": PASSPHRASE, "safe": KEYS["safe"], "boot": "b"}
    assert volume_keys.needed([volume("raw")], keys) == KEYS
    assert volume_keys.needed(records, None) == {}


@pytest.fixture
def server(tmp_path):
    """An NBD server with an export of 64 MiB and what LUKS needs, that anybody may open; its file is told too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "disk"
    with path.open("wb") as stream:
        stream.truncate(64 * MIB + luks.ROOM)
    command = ["qemu-nbd", "-f", "raw", "-x", "disk", "-b", "127.0.0.1", "-p", str(port), "-e", "4", "--persistent"]
    process = subprocess.Popen([*command, str(path)])
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield path, {"server": f"127.0.0.1:{port}", "location": "disk"}
    finally:
        process.terminate()
        process.wait()


def served(pool, **more):
    return {**volume("nbd", size_gb=0, size_mb=64, pool=pool), **more}


def test_an_empty_disk_of_a_server_is_encrypted_once_and_only_the_passphrase_opens_it(tmp_path, server):
    path, pool = server
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    assert alone.planned(served(pool), state).changed and path.read_bytes().count(0) == path.stat().st_size
    with arguments() as seen:
        assert alone.provide(served(pool), state, run, KEYS).changed
    assert [one for one in seen if b"key-secret=key" in one] and not [one for one in seen if PASSPHRASE.encode() in one]
    assert not alone.provide(served(pool), state, run, {}).changed
    options = nbd_options(pool)
    assert reads(options, PASSPHRASE, f"read -P 0 {64 * MIB} 512")  # what is beyond it is empty
    assert reads(options, PASSPHRASE, f"write -P 0x41 {64 * MIB - 512} 512")
    assert not reads(options, "something else", "read 0 512")
    assert b"A" * 512 not in path.read_bytes()
    assert not alone.withdraw(served(pool), state, run).changed and reads(options, PASSPHRASE, "read 0 512")


def nbd_options(pool):
    host, port = pool["server"].split(":")
    return luks.options(
        {"driver": "nbd", "server.type": "inet", "server.host": host, "server.port": port, "export": "disk"}, True
    )


def reads(options, key, command):
    argv = ["qemu-io", "--object", "secret,id=key,file=/dev/stdin", "-c", command, "--image-opts", options]
    done = subprocess.run(argv, input=key, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Pattern verification failed" not in done.stdout


def test_a_disk_of_a_server_that_holds_something_or_is_too_small_is_not_touched(tmp_path, server):
    path, pool = server
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    with pytest.raises(ItemError, match="LUKS needs 2 MiB more"):
        alone.provide(served(pool, size_mb=65), state, run, KEYS)
    with path.open("r+b") as stream:
        stream.seek(63 * MIB)
        stream.write(b"somebody's")
    before = path.read_bytes()
    with pytest.raises(ItemError, match="is neither empty nor encrypted"):
        alone.provide(served(pool), state, run, KEYS)
    assert path.read_bytes() == before


def test_a_volume_moves_to_an_encrypted_disk_of_a_server_and_back(tmp_path, server):
    _path, pool = server
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    plain = {"name": "data", "id": IDENTITY, "backend": "qcow2", "size_gb": 0, "size_mb": 64}
    made = alone.provide(plain, state, run).facts["path"]
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x41 1M 64k", made], check=True, capture_output=True)
    assert retype.retype({**served(pool), "origin": {"backend": "qcow2"}}, state, run, KEYS).changed
    assert not list(pathlib.Path(state, "volumes").glob("*"))
    assert reads(nbd_options(pool), PASSPHRASE, "read -P 0x41 1M 64k")
    assert reads(nbd_options(pool), PASSPHRASE, f"write -P 0x42 {64 * MIB} 512")  # the guest sees a little more
    back = {**plain, "origin": {"backend": "nbd", "pool": pool, "encryption": "luks", "key": "safe"}}
    retype.retype(back, state, run, KEYS)
    for command in ("read -P 0x41 1M 64k", f"read -P 0x42 {64 * MIB} 512"):
        told = subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, made], check=True, capture_output=True)
        assert b"Pattern verification failed" not in told.stdout
    assert not alone.provide(plain, state, run).changed
