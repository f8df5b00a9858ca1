# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each hostile image is refused with its reason by the whole way from the URL to the cache, and leaves nothing."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import image, second, stage
from ansible_collections.virtfleet.compute.plugins.module_utils._images import inspect as inspection
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils._images import hostile


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile")
    hostile.make(directory)
    return directory


def ids(one):
    return f"{one.name}-as-{one.declared}"


@pytest.mark.parametrize("evil", hostile.IMAGES, ids=ids)
def test_it_is_refused_with_its_reason(host, folder, evil):
    host.web.files["/evil"] = (folder / evil.name).read_bytes()
    said, fault = host.refusal(name="evil", url=host.web.url("/evil"), checksum=None, disk_format=evil.declared)
    assert said.startswith(("image evil: ", "failed to inspect image evil")) and evil.reason in said
    assert fault == "request" and host.names() == []


@pytest.mark.parametrize("evil", hostile.IMAGES, ids=ids)
def test_the_inspector_of_nova_is_never_stricter(folder, evil):
    """Where it sees nothing, ours does; where both see something, they agree that it is refused."""
    assert second.format_inspector is not None, "requirements/test.lock has oslo.utils"
    assert bool(second.objection(str(folder / evil.name), evil.declared)) == evil.known_to_oslo


@pytest.mark.parametrize("declared", ["qcow2", "raw"])
def test_what_only_the_other_inspector_sees_is_refused_too(host, disk, monkeypatch, declared):
    host.web.files["/disk"] = disk if declared == "qcow2" else bytes(2**20)
    monkeypatch.setattr(inspection, "objection", lambda path, declared: "oslo.utils says: no")
    said, fault = host.refusal(url=host.web.url("/disk"), checksum=None, disk_format=declared)
    assert said == "image disk: oslo.utils says: no" and fault == "request"


def test_a_good_image_is_good_to_both(tmp_path, disk):
    (tmp_path / "disk").write_bytes(disk)
    (tmp_path / "raw").write_bytes(bytes(510) + b"\x55\xaa" + bytes(2**20))
    assert second.objection(str(tmp_path / "disk"), "qcow2") == second.objection(str(tmp_path / "raw"), "raw") == ""


def test_a_virtual_size_above_the_flavor_is_refused_at_every_use(host, tmp_path, qemu_img):
    """CVE-2013-2096: a few bytes that a guest could fill to petabytes."""
    qemu_img("create", "-f", "qcow2", "huge", "2T")
    host.web.files["/huge"] = (tmp_path / "huge").read_bytes()
    wanted = host.image(url=host.web.url("/huge"), checksum=None)
    base = host.ensure(url=host.web.url("/huge"), checksum=None)
    item = {"name": "web-1", "image": {"name": "huge"}, "flavor": {"name": "m1", "disk_gb": 20}}
    for before in (None, base):
        told = stage.outcome(item, wanted, before, base, host.images)
        assert "needs a disk of 2048 GiB, but flavor m1 has disk_gb 20" in told.error and told.fault == "request"
    assert isinstance(wanted, image.Image)


def test_a_plan_names_a_file_for_the_stages_after_it(host, disk):
    host.web.files["/disk"] = disk
    wanted = host.image(url=host.web.url("/disk"), checksum=None)
    planned = stage.outcome({"name": "web-1", "image": {"name": "disk"}}, wanted, None, None, host.images)
    assert planned.changed and not planned.error
    assert planned.facts["image"]["path"].startswith(f"{host.images}/") and planned.facts["image"]["format"] == "qcow2"
    assert "path" not in stage.outcome({"name": "disk"}, wanted, None, None, host.images).facts
