# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of several images: each is obtained once, and each volume knows where its own is."""

from __future__ import annotations

from functools import partial

from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, chain, stage

MIB = 2**20


def instance(host, *paths, name="web-1"):
    """Return an instance whose root disk and further volumes are made from the files of these names."""
    root, *more = [
        {"name": path.strip("/"), "url": host.web.url(path), "disk_format": "qcow2", "checksum": None} for path in paths
    ]
    volumes = [{"name": "root", "boot_index": 0}]
    volumes += [{"name": f"data-{number}", "image": one} for number, one in enumerate(more)]
    return {"name": name, "image": root, "volumes": [*volumes, {"name": "blank"}]}


def obtained(host, *items):
    wanted = [stage.wanted_by(item) for item in items]
    asked = [image for images in wanted for image in images]
    before = stage.cached(host.images, asked)
    answers = stage.obtain(asked, 0, partial(_ensure, host))
    return [stage.outcomes(item, one, before, answers, host.images) for item, one in zip(items, wanted)]


def _ensure(host, image, deadline):
    return cache.ensure(host.images, host.run_dir, image, deadline)


def test_every_volume_that_is_made_from_an_image_learns_where_that_is(host, disk):
    host.web.files.update({"/a": disk, "/b": disk + bytes(512)})
    first, second = obtained(host, instance(host, "/a", "/b"), instance(host, "/b", name="web-2"))
    assert not first.error and not second.error
    root, data, blank = first.facts["volumes"]
    assert (root, blank) == ({"name": "root", "boot_index": 0}, {"name": "blank"})
    assert data["image"]["path"] != first.facts["image"]["path"] and data["image"]["virtual_size"] > 0
    assert data["image"]["path"] == second.facts["image"]["path"] and "volumes" not in second.facts
    assert (first.changed, second.changed) == (True, True)
    again = obtained(host, instance(host, "/a", "/b"))[0]
    assert not again.changed and again.facts["volumes"][1] == data


def test_an_image_of_a_volume_that_cannot_be_had_fails_its_instance_alone(host, disk):
    host.web.files["/a"] = disk
    bad, good = obtained(host, instance(host, "/a", "/none"), instance(host, "/a", name="web-2"))
    assert "image none" in bad.error and bad.fault == "request" and not good.error


def test_a_volume_that_no_guest_has_keeps_its_image(host, disk, tmp_path, qemu_img):
    host.web.files["/a"] = disk
    (one,) = obtained(host, instance(host, "/a"))
    base = one.facts["image"]["path"]
    volumes = tmp_path / "state" / "volumes"
    volumes.mkdir(parents=True)
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", volumes / "5f0c.qcow2")
    users = chain.users(host.images, str(tmp_path / "state"), [])
    assert list(users.values()) == [["volume 5f0c"]]
