# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which images a host needs a file."""

from __future__ import annotations

import uuid

from ansible_collections.virtfleet.compute.plugins.module_utils import _image_needs
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import alone

TINY = {"name": "tiny", "url": "file:///srv/tiny.raw", "disk_format": "raw", "checksum": "sha256:" + "a" * 64}


def volume(**more):
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, "vfi-data"))
    return {"name": "data", "id": identity, "backend": "qcow2", "size_gb": 1, "source_image": "tiny", **more}


def test_a_volume_that_is_there_needs_its_image_no_more(tmp_path):
    item = {"name": "web-1", "uuid": str(uuid.uuid4()), "image": None, "volumes": [volume(image=TINY)]}
    state = str(tmp_path / "state")
    assert _image_needs.without_made(item, state) == item
    alone.provide({**volume(), "source_image": ""}, state, str(tmp_path / "run"))
    assert "image" not in _image_needs.without_made(item, state)["volumes"][0]
    bare = {**item, "volumes": [volume()]}
    assert _image_needs.without_made(bare, state) is bare


def test_only_disks_in_a_pool_that_has_the_image_need_no_file(monkeypatch):
    asked = []
    monkeypatch.setattr(
        _image_needs.rbd, "size_of", lambda pool, path: asked.append(path) or {"a": 5, "b": None}[pool["pool"]]
    )
    root = {"name": "root", "boot_index": 0, "backend": "rbd", "pool": {"pool": "a"}}
    item = {"name": "web-1", "image": TINY, "volumes": [root]}
    found = next(iter(_image_needs.in_clusters([item]).values()))
    assert (found.virtual_size, found.format) == (5, "raw") and asked == [f"a/virtfleet-{found.file.partition('.')[0]}"]
    plain = {"name": "root", "boot_index": 0, "backend": "qcow2"}
    assert _image_needs.in_clusters([item, {**item, "volumes": [plain]}]) == {}
    assert _image_needs.in_clusters([item, {**item, "volumes": [{**root, "pool": {"pool": "b"}}]}]) == {}
    assert _image_needs.in_clusters([{**item, "image": {**TINY, "checksum": "https://example.org/SHA256SUMS"}}]) == {}
    assert _image_needs.in_clusters([{**item, "volumes": [plain, {**root, "boot_index": None, "image": TINY}]}]) == {}
