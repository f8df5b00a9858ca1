# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest whose disks are in a real Ceph cluster, through the playbooks."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

from ..boot.machine import Commands, cached, entry
from ..conftest import GUEST, STATE_DIR, virsh
from .cluster import POOL

PREFIX, OCTET = "vfc", 236
NAME, IMAGE = "vfc-db", "vfc-guest"
DATA = [{"source_type": "volume", "source": "vfc-data", "destination_type": "volume"}]


@pytest.fixture(scope="module")
def spec(cloud, cluster, tmp_path_factory):
    """Variables for guests whose disks are in the cluster, made from an image that nobody else has."""
    kind = {"backend": "rbd", "pool": POOL, "conf": str(cluster.conf)}
    sizes = {**cloud.vars["virtfleet_flavors"]["tiny"], "swap_mb": 16}
    plain = tmp_path_factory.mktemp("image") / "guest.raw"
    source = str(GUEST / "virtfleet-guest.qcow2")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", source, str(plain)], check=True)
    with plain.open("r+b") as stream:
        stream.seek(0, 2)
        stream.write(str(cluster.folder).encode().ljust(512, b"\0"))
    yield {
        "virtfleet_flavors": {"tiny": sizes},
        "virtfleet_images": {IMAGE: entry(plain, "raw")},
        "virtfleet_volume_types": {"ceph": kind},
        "virtfleet_volumes": {"vfc-data": {"size_gb": 1, "type": "ceph"}},
    }
    cloud.play("delete.yml", "-e", f"names={NAME}")
    cloud.play("images.yml", "-e", "state=absent", "-e", f"images={IMAGE}")


def images(cluster):
    return set(cluster.rbd("ls", POOL).split())


def booted(cloud, spec, *devices):
    """Boot the guest with these block devices and return the run, which must not fail."""
    more = {"image": IMAGE, "volume_type": "ceph", "wait_for": "console", "block_devices": [*devices]}
    run = cloud.boot(cloud.instance("db", **more), **spec)
    assert run.code == 0, run.output
    return run


def test_a_guest_boots_from_the_cluster_and_takes_a_volume_while_it_runs(cloud, cluster, spec):
    with Commands() as commands:
        outputs = [booted(cloud, spec).output, booted(cloud, spec, *DATA).output]
    assert virsh("domblklist", NAME).count(f"{POOL}/") == 3
    assert booted(cloud, spec, *DATA).changed == 0
    key = cluster.key()
    assert not [line for line in commands.seen if key.encode() in line]
    assert key not in "".join(outputs) + virsh("dumpxml", NAME)
    told = [path for path in STATE_DIR.rglob("*") if path.is_file() and path.suffix in (".json", ".db", ".log")]
    assert not [path for path in told if key.encode() in pathlib.Path(path).read_bytes()]


def test_what_goes_and_what_stays_and_no_file_is_needed_again(cloud, cluster, spec):
    booted(cloud, spec, *DATA)
    booted(cloud, spec)
    assert virsh("domblklist", NAME).count(f"{POOL}/") == 2
    gone = cloud.play("delete.yml", "-e", f"names={NAME}", **spec)
    assert gone.code == 0, gone.output
    left = images(cluster)
    assert len(left) == 2 and len([one for one in left if one.startswith("virtfleet-")]) == 1
    run = cloud.play("volumes.yml", "-e", "verb=delete", "-e", "names=vfc-data", **spec)
    assert run.code == 0 and len(images(cluster)) == 1, run.output
    # The cluster has the image: a host that has no file of it, and could get none, makes a disk all the same.
    image = spec["virtfleet_images"][IMAGE]
    run = cloud.play("images.yml", "-e", "state=absent", "-e", f"images={IMAGE}", **spec)
    assert run.code == 0 and cached(image) == [], run.output
    nowhere = {IMAGE: {**image, "url": "file:///nonexistent/guest.raw"}}
    booted(cloud, {**spec, "virtfleet_images": nowhere})
    assert cached(image) == []


def test_disks_in_the_cluster_are_backed_up_whole_and_restored(cloud, cluster, spec):
    booted(cloud, spec, *DATA)
    data = f"{POOL}/{naming.volume_id('default', 'vfc-data')}"
    told = ("-e", f"names={NAME}", "-e", "backup=b1")
    refused = cloud.play("backup.yml", *told, "-e", "kind=incremental", **spec)
    assert refused.code == 2 and "has no incremental backup: disk" in refused.output, refused.output
    made = cloud.play("backup.yml", *told, "-e", "kind=auto", **spec)
    assert made.code == 0 and "was copied whole: disk" in made.output, made.output
    virsh("destroy", NAME)
    written(cluster, data, "write -P 65 0 64k")
    root = f"{POOL}/{virsh('domuuid', NAME).strip()}_root"
    written(cluster, root, "write -P 66 0 1M")
    before = {one for one in images(cluster) if not one.startswith("virtfleet-")}
    restored = cloud.play("restore.yml", *told, **spec)
    assert restored.code == 0 and restored.changed == 1, restored.output
    assert cloud.play("restore.yml", *told, **spec).changed == 0
    written(cluster, data, "read -P 0 0 64k")
    assert {one for one in images(cluster) if not one.startswith("virtfleet-")} == before
    assert "parent" not in json.loads(cluster.rbd("info", "--format", "json", root))
    booted(cloud, spec, *DATA)  # it starts from the restored disk
    assert cloud.play("backup.yml", *told, "-e", "state=absent", **spec).code == 0


def written(cluster, path, command):
    """Do something to an image of the cluster, which must come to what is expected."""
    url = f"rbd:{path}:id=admin:conf={cluster.conf}"
    done = subprocess.run(["qemu-io", "-f", "raw", "-c", command, url], check=True, capture_output=True, text=True)
    assert "verification failed" not in done.stdout


def test_the_audit_finds_what_is_left_in_the_pool_and_sweeps_what_is_known_to_be_ours(cloud, cluster, spec):
    booted(cloud, spec)
    owner = virsh("domuuid", NAME).strip()
    for one in ("disk", "far"):
        cluster.rbd("create", "--size", "8M", f"{POOL}/vfc-{one}")
    assert not [one for one in audited(cloud, cluster, spec)[1] if one["what"] == "pool_image"]
    assert cloud.play("delete.yml", "-e", f"names={NAME}", **spec).code == 0
    # A disk of before, and one that another fleet made after for its instance of that name.
    cluster.rbd("rename", f"{POOL}/vfc-disk", f"{POOL}/{owner}_root")
    cluster.rbd("create", "--size", "8M", f"{POOL}/{owner}_swap")
    volume = naming.volume_id("default", "vfc-lost")
    cluster.rbd("rename", f"{POOL}/vfc-far", f"{POOL}/{volume}")
    run, found = audited(cloud, cluster, spec)
    told = {one["name"].split("/")[1].split()[0]: one for one in found if one["what"] == "pool_image"}
    assert run.code == 2 and set(told) == {f"{owner}_root", f"{owner}_swap", volume}, run.output
    assert {name: one["gc"] for name, one in told.items()} == {
        f"{owner}_root": True,
        f"{owner}_swap": False,
        volume: False,
    }
    assert "neither the registry nor virtfleet_volumes knows it" in told[volume]["evidence"]
    assert f"{owner}_root" in cluster.rbd("ls", POOL)
    audited(cloud, cluster, spec, "-e", "gc=true", "--check")
    assert f"{owner}_root" in cluster.rbd("ls", POOL)
    run, found = audited(cloud, cluster, spec, "-e", "gc=true")
    left = images(cluster)
    assert f"{owner}_root" not in left and {f"{owner}_swap", volume} <= left, run.output
    for one in (f"{owner}_swap", volume):
        cluster.rbd("rm", "--no-progress", f"{POOL}/{one}")
    assert not [one for one in audited(cloud, cluster, spec)[1] if one["what"] == "pool_image"]


def audited(cloud, cluster, spec, *arguments):
    """Return the run of an audit and what it found."""
    report = cloud.folder / "audit.json"
    run = cloud.play("audit.yml", *arguments, **{**spec, "audit_report": str(report), "gc_grace": 0})
    return run, json.loads(report.read_text())["findings"]
