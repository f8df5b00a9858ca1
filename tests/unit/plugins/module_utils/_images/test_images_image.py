# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import image as images
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

DIGEST = "sha256:" + "0a" * 32
RECORD = {"name": "debian", "url": "https://one.example/debian.qcow2", "checksum": DIGEST, "disk_format": "qcow2"}
BASE = images.Base("", "", "", "qcow2", 3 * 2**30, 1, 1, "", "")


def of(**changes):
    return images.from_record({**RECORD, **changes})


def test_one_content_has_one_id_wherever_it_comes_from():
    assert of().id == of(name="other", url="http://two.example/x.img", checksum=DIGEST.replace("0a", "0A")).id


def test_without_a_digest_the_address_and_the_format_are_the_id():
    without = [
        of(checksum=None),
        of(checksum="https://one.example/SHA256SUMS"),
        of(url="https://one.example/b", checksum=""),
    ]
    assert len({one.id for one in [*without, of(), of(disk_format="raw")]}) == 5


@pytest.mark.parametrize(
    "changes,reason",
    [
        ({"url": "ftp://host/disk"}, "url is 'ftp://host/disk', but must be an http, https or file URL"),
        ({"url": "/srv/disk.qcow2"}, "must be an http, https or file URL"),
        ({"url": "https://host/"}, "must be an http, https or file URL of a file"),
        ({"url": "file://srv/disk.qcow2"}, "three slashes"),
        ({"url": None}, "url is ''"),
        ({"checksum": "md5:abc"}, "checksum is 'md5:abc', but must be sha256:<64 hex digits>"),
        ({"checksum": "sha256:abc"}, "checksum is 'sha256:abc'"),
        ({"disk_format": "vmdk"}, "disk_format is 'vmdk', but must be one of qcow2, raw"),
        ({"disk_format": None}, "disk_format is ''"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(changes, reason):
    with pytest.raises(ItemError, match="image debian: ") as raised:
        of(**changes)
    assert reason in str(raised.value)
    assert raised.value.fault == "request"


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(ItemError) as raised:
        of(url="https://me:hunter2@host/disk.qcow2")
    assert "hunter2" not in str(raised.value)


def test_an_image_larger_than_the_disk_of_the_flavor_is_refused():
    with pytest.raises(ItemError, match=r"needs a disk of 3 GiB, but flavor m1 has disk_gb 2.* at least 3") as raised:
        images.check_fit(of(), BASE, {"name": "m1", "disk_gb": 2})
    assert raised.value.fault == "request"


@pytest.mark.parametrize("disk_gb", [0, None, 3, 20])
def test_an_image_that_fits_is_taken(disk_gb):
    images.check_fit(of(), BASE, {"name": "m1", "disk_gb": disk_gb})
