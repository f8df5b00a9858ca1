# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a real pool and belongs to nothing is found and swept; what is open, foreign or cloned from stays."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from dataclasses import replace

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils import _traces
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.trace import Place
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import pool_traces

from .cluster import POOL


def derived():
    """Return an id as ours are."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(uuid.uuid4())))


@pytest.fixture
def place(tmp_path, cluster):
    """A host that looks into a pool of its own, in which there is nothing."""
    pool = f"{POOL}-{uuid.uuid4().hex[:8]}"
    cluster.run("ceph", "osd", "pool", "create", pool, "1", "1")
    cluster.rbd("pool", "init", pool)
    caps = ["mon", "profile rbd", "osd", f"profile rbd pool={POOL}, profile rbd pool={pool}"]
    cluster.run("ceph", "auth", "caps", "client.libvirt", *caps)
    store = {"backend": "rbd", "pool": pool, "conf": str(cluster.conf)}
    return Place(str(tmp_path / "state"), str(tmp_path / "run"), stores=(store,))


def made(cluster, place, name):
    """An empty image of that name is in the pool; return what the audit calls it."""
    (store,) = place.stores
    cluster.rbd("create", "--size", "8M", f"{store['pool']}/{name}")
    return f"{store['pool']}/{name} of {cluster.conf}"


def swept(place, name, grace=0, rehearse=False):
    asked = {"kind": "pool_image", "name": name, "owner": ""}
    return _traces.sweep(place, asked, grace, rehearse).changed


def test_disks_volumes_and_half_made_images_are_found_and_strangers_are_not(cluster, place):
    owner, volume = derived(), derived()
    disk, half = made(cluster, place, f"{owner}_root"), made(cluster, place, f"{owner}_root.new")
    alone = made(cluster, place, volume)
    parent = made(cluster, place, f"virtfleet-abc.{'0' * 32}.new")
    for foreign in ("golden", str(uuid.uuid4()), f"{owner}_disk"):
        made(cluster, place, foreign)
    found = {one.name: one for one in pool_traces.find_images(place)}
    assert set(found) == {disk, half, alone, parent}
    assert found[disk].owner == owner and found[half].within == owner and found[alone].volume == volume
    assert all(0 <= one.age <= one.old < 120 for one in found.values())
    assert f"--conf {cluster.conf} --id libvirt rm" in found[disk].remedy
    (left,) = pool_traces.find_images(Place(stores=place.stores, known=frozenset({owner}), domains={volume: ""}))
    first = found[parent]
    assert first.age <= left.age <= left.old < 120, "a second may have gone by"
    assert replace(left, age=first.age, old=first.old) == first


def test_a_sweep_takes_what_is_left_and_a_second_one_finds_nothing(cluster, place):
    disk, alone = made(cluster, place, f"{derived()}_swap"), made(cluster, place, derived())
    assert swept(place, disk, rehearse=True) and len(pool_traces.find_images(place)) == 2
    with pytest.raises(ItemError, match="grace time is 3600 s"):
        swept(place, disk, grace=3600)
    with pytest.raises(ItemError, match="nothing was removed"):
        swept(place, alone)
    assert swept(place, disk) and not swept(place, disk)
    assert [one.name for one in pool_traces.find_images(place)] == [alone]


def test_an_image_that_somebody_has_open_stays(cluster, place, tmp_path):
    disk = made(cluster, place, f"{derived()}_root")
    (store,) = place.stores
    opened = f"rbd:{disk.partition(' ')[0]}:id=libvirt:conf={cluster.conf}"
    server = subprocess.Popen(["qemu-nbd", "-f", "raw", "-t", "-k", str(tmp_path / "nbd"), opened])
    try:
        end = time.monotonic() + 30
        while not (tmp_path / "nbd").exists() and time.monotonic() < end:
            time.sleep(0.1)
        with pytest.raises(ItemError, match="is open somewhere"):
            swept(place, disk)
    finally:
        server.terminate()
        server.wait()
    assert disk.partition("/")[2].partition(" ")[0] in cluster.rbd("ls", store["pool"])


def test_what_disks_are_cloned_from_is_no_finding_until_it_lost_its_snapshot(cluster, place):
    (store,) = place.stores
    parent = made(cluster, place, "virtfleet-def")
    path = f"{store['pool']}/virtfleet-def"
    (found,) = pool_traces.find_images(place)
    assert "has no snapshot to clone from" in found.evidence and found.removable
    cluster.rbd("snap", "create", "--no-progress", f"{path}@base")
    cluster.rbd("snap", "protect", f"{path}@base")
    assert pool_traces.find_images(place) == []
    cluster.rbd("snap", "unprotect", f"{path}@base")
    assert swept(place, parent) and json.loads(cluster.rbd("ls", "--format", "json", store["pool"])) == []


def test_a_half_made_image_goes_with_its_protected_snapshot(cluster, place):
    (store,) = place.stores
    half = made(cluster, place, f"virtfleet-abc.{'0' * 32}.new")
    path = half.partition(" ")[0]
    cluster.rbd("snap", "create", "--no-progress", f"{path}@base")
    cluster.rbd("snap", "protect", f"{path}@base")
    assert swept(place, half) and json.loads(cluster.rbd("ls", "--format", "json", store["pool"])) == []
