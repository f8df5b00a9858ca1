# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks in a real Ceph cluster: cloned at once, seen by all hosts, grown, refused while open, gone without a trace."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import ceph, luks, rbd, stage

from ..boot.machine import Commands
from .cluster import POOL, name

MIB, GIB = 2**20, 2**30


class Host:
    """A host of its own with one cached image of 1 GiB, of which 8 MiB are written."""

    def __init__(self, directory, cluster, image=None):
        self.state_dir, self.run_dir = str(directory / "state"), str(directory / "run")
        self.pool = {"pool": POOL, "user": "libvirt", "conf": str(cluster.conf)}
        images = directory / "state" / "images"
        images.mkdir(parents=True)
        self.image_id = image or uuid.uuid4().hex
        self.base = images / f"{self.image_id}.qcow2"
        plain = directory / "plain"
        with plain.open("wb") as stream:
            stream.write(b"VIRTFLEET" * (8 * MIB // 9))
            stream.truncate(GIB)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", plain, self.base], check=True)
        self.base.chmod(0o444)

    def instance(self, title, *disks):
        image = {"name": "tiny", "path": str(self.base), "format": "qcow2", "virtual_size": GIB}
        root = {"name": "root", "backend": "rbd", "size_gb": 2, "boot_index": 0, "pool": self.pool}
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, title))
        return {"name": title, "uuid": identity, "image": image, "volumes": [root, *disks]}

    def data(self, title, size_gb=1, **more):
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"volume/{title}"))
        return {"name": title, "id": identity, "backend": "rbd", "size_gb": size_gb, "pool": self.pool, **more}

    def provide(self, instance, keys=None):
        return stage.provide(instance, self.state_dir, self.run_dir, keys)

    def withdraw(self, instance):
        return stage.withdraw(instance, self.state_dir, self.run_dir)


@pytest.fixture
def host(tmp_path, cluster):
    return Host(tmp_path, cluster)


def images(cluster):
    return set(cluster.rbd("ls", POOL).split())


def test_a_root_disk_is_a_clone_of_a_protected_snapshot(cluster, host):
    one = host.instance(name())
    (volume,) = host.provide(one).facts["volumes"]
    told = json.loads(cluster.rbd("info", "--format", "json", volume["path"]))
    assert volume["path"] == f"{POOL}/{one['uuid']}_root"
    assert told["size"] == 2 * GIB and told["parent"]["image"] == f"virtfleet-{host.image_id}"
    (snapshot,) = json.loads(cluster.rbd("snap", "ls", "--format", "json", f"{POOL}/virtfleet-{host.image_id}"))
    assert snapshot["protected"] == "true"
    assert not host.provide(one).changed
    assert host.withdraw(one).changed and not host.withdraw(one).changed
    assert images(cluster) == {f"virtfleet-{host.image_id}"} | {
        image for image in images(cluster) if "virtfleet-" in image
    }


def test_a_clone_as_large_as_its_image_is_not_resized(cluster, host):
    one = host.instance(name())
    one["volumes"][0]["size_gb"] = 0
    (volume,) = host.provide(one).facts["volumes"]
    assert rbd.size_of(host.pool, volume["path"]) == volume["size"] == GIB


def test_the_second_clone_needs_no_file_and_takes_less_than_a_second(cluster, host):
    host.provide(host.instance(name()))
    host.base.unlink()
    began = time.monotonic()
    assert host.provide(host.instance(name())).changed
    assert time.monotonic() - began < 3  # the goal is one second on a machine to itself: bench_storage.py


def test_two_hosts_that_import_an_image_at_once_make_one_parent(cluster, tmp_path):
    hosts = [Host(tmp_path / str(index), cluster, image="f" * 32) for index in range(2)]
    errors = []

    def boot(host):
        try:
            host.provide(host.instance(name()))
        except ItemError as error:
            errors.append(error)

    threads = [threading.Thread(target=boot, args=(one,)) for one in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [image for image in images(cluster) if "f" * 32 in image] == ["virtfleet-" + "f" * 32]


def test_ephemeral_and_swap_disks_hold_what_the_guest_expects(cluster, host, tmp_path):
    swap = {"name": "swap", "backend": "rbd", "size_mb": 64, "guest_format": "swap", "pool": host.pool}
    one = host.instance(name(), swap)
    volume = host.provide(one).facts["volumes"][1]
    cluster.rbd("export", "--no-progress", volume["path"], str(tmp_path / "swap"))
    told = subprocess.run(["/usr/sbin/blkid", "-p", str(tmp_path / "swap")], check=True, capture_output=True, text=True)
    assert 'TYPE="swap"' in told.stdout and 'LABEL="swap"' in told.stdout
    host.withdraw(one)


def test_a_data_volume_outlives_its_instance_and_another_host_sees_it(cluster, host, tmp_path):
    one = host.instance(name(), host.data("kept"), host.data("scratch", delete_on_termination=True))
    paths = [volume["path"] for volume in host.provide(one).facts["volumes"]]
    host.withdraw(one)
    assert [rbd.size_of(host.pool, path) for path in paths] == [None, GIB, None]
    other = Host(tmp_path / "other", cluster)
    two = other.instance(name(), host.data("kept", size_gb=3))
    outcome = other.provide(two)
    assert outcome.before["kept"]["size"] == GIB and rbd.size_of(host.pool, paths[1]) == 3 * GIB
    with pytest.raises(ItemError, match="1 GiB would destroy data"):
        other.provide({**two, "volumes": [*two["volumes"][:1], host.data("kept")]})
    cluster.rbd("rm", "--no-progress", paths[1])


def test_an_open_disk_is_in_use_and_is_not_removed(cluster, host):
    one = host.instance(name())
    (volume,) = host.provide(one).facts["volumes"]
    url = f"rbd:{volume['path']}:id=libvirt:conf={cluster.conf}"
    with subprocess.Popen(["qemu-io", "-f", "raw", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guest:
        guest.stdin.write(b"write 0 4k\n")
        guest.stdin.flush()
        guest.stdout.readline()
        with pytest.raises(ItemError, match="rbd rm failed"):
            host.withdraw(one)
        guest.kill()


def test_a_cluster_that_is_not_there_is_one_sentence(host, tmp_path):
    conf = tmp_path / "none.conf"
    pool = {**host.pool, "conf": str(conf)}
    root = {"name": "root", "backend": "rbd", "size_gb": 2, "boot_index": 0, "pool": pool}
    with pytest.raises(ItemError, match=r"rbd ls failed: .*unable to open config file"):
        host.provide({**host.instance(name()), "volumes": [root]})


def test_a_clone_takes_four_calls(cluster, host, monkeypatch):
    host.provide(host.instance(name()))
    calls = []
    real = ceph.tools.run
    monkeypatch.setattr(
        ceph.tools, "run", lambda command, *words, **more: calls.append(command) or real(command, *words, **more)
    )
    one = host.instance(name())
    host.provide(one)
    assert [command[5] for command in calls] == ["ls", "clone", "resize", "rename"]
    host.withdraw(one)


def test_what_a_killed_run_left_is_made_again(cluster, host):
    one = host.instance(name())
    cluster.rbd("create", "--size", "1M", f"{POOL}/{one['uuid']}_root.new")
    (volume,) = host.provide(one).facts["volumes"]
    told = json.loads(cluster.rbd("info", "--format", "json", volume["path"]))
    assert told["size"] == 2 * GIB and "parent" in told
    host.withdraw(one)


def encrypted(cluster, path, command, key="the one of the type"):
    """Return whether qemu-io can do something to what is in the image with this passphrase."""
    pool, _slash, image = path.partition("/")
    node = {"driver": "rbd", "pool": pool, "image": image, "user": "libvirt", "conf": str(cluster.conf)}
    argv = ["qemu-io", "--object", "secret,id=key,file=/dev/stdin", "-c", command]
    argv += ["--image-opts", luks.options(node, True)]
    done = subprocess.run(argv, input=key, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Pattern verification failed" not in done.stdout


def test_encrypted_disks_hold_what_they_should_for_who_has_the_passphrase_and_nobody_else(cluster, host, monkeypatch):
    monkeypatch.setattr(luks, "OPTIONS", luks.OPTIONS + ",iter-time=10")
    keys, kind = {"safe": "the one of the type"}, {"encryption": "luks", "key": "safe"}
    swap = {"name": "swap", "backend": "rbd", "size_mb": 64, "guest_format": "swap", "pool": host.pool, **kind}
    one = host.instance(name(), swap, host.data(name(), **kind))
    one["volumes"][0].update(kind)
    with Commands() as commands:
        root, swap, data = (volume["path"] for volume in host.provide(one, keys).facts["volumes"])
    assert not [line for line in commands.seen if keys["safe"].encode() in line]
    assert encrypted(cluster, root, "read -P 0x56 0 1") and not encrypted(cluster, root, "read 0 512", "another")
    assert encrypted(cluster, root, f"read {2 * GIB - 512} 512") and not encrypted(cluster, root, f"read {2 * GIB} 512")
    assert encrypted(cluster, swap, "read -P 0x53 4086 1") and encrypted(cluster, data, "write -P 0x41 0 64k")
    assert (
        b"VIRTFLEET"
        not in subprocess.run(
            ["rbd", "--conf", str(cluster.conf), "export", "--no-progress", root, "-"], check=True, capture_output=True
        ).stdout[: 64 * MIB]
    )
    assert not host.provide(one, {}).changed
    one["volumes"][2]["size_gb"] = 3
    assert host.provide(one, keys).changed and not host.provide(one, keys).changed
    assert encrypted(cluster, data, f"read {3 * GIB - 512} 512") and encrypted(cluster, data, "read -P 0x41 0 64k")
    host.withdraw(one)
    cluster.rbd("rm", "--no-progress", data)
