# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import checksum
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

S256, S512, MD5 = "0f" * 32, "AB" * 64, "12" * 16


FEDORA = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# other.qcow2: 123 bytes
SHA256 (other.qcow2) = {"ab" * 32}
# disk.qcow2: 391446528 bytes
SHA256 (disk.qcow2) = {S256}
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEE0f9v64nnl0sgZo9h6GR2jDGxXzgFAmX{"A" * 20}
-----END PGP SIGNATURE-----
"""
ALMA = f"""# AlmaLinux-9-GenericCloud-9.5.x86_64.qcow2: 481296384 bytes
{"cd" * 32}  AlmaLinux-9-GenericCloud-9.5.x86_64.qcow2
{S256}  disk.qcow2
"""


@pytest.mark.parametrize(
    "text,expected",
    [
        (f"sha256:{S256}", True),
        (f"sha512:{S512}", True),
        (f"sha256:{S512}", False),
        (f"md5:{MD5}", False),
        ("sha256:", False),
        (":", False),
        ("", False),
        ("sha256:" + "g" * 64, False),
        ("https://example.org/SHA256SUMS", False),
    ],
)
def test_only_sha256_and_sha512_of_their_length_are_digests(text, expected):
    assert checksum.is_digest(text) is expected


@pytest.mark.parametrize(
    "sums",
    [
        f"{S256}  disk.qcow2\n",
        f"{S256} *disk.qcow2\n",
        f"{S256}  ./disk.qcow2\r\n",
        f"SHA256 (disk.qcow2) = {S256}\n",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# disk.qcow2: 3 bytes\n{S256}  disk.qcow2\n",
        FEDORA,
        ALMA,
        f"{S256.upper()}\n",  # Alpine: one file for each image
        f"{S512}  other.qcow2\n{MD5}  disk.qcow2\n{S256}  disk.qcow2\n",
    ],
)
def test_the_forms_that_distributions_publish(sums):
    assert checksum.find(sums, {"disk.qcow2"}, "sums") == f"sha256:{S256}"


def test_the_length_tells_the_algorithm():
    assert checksum.find(f"{S512}  disk.qcow2", {"disk.qcow2"}, "sums") == f"sha512:{S512.lower()}"


def test_the_longer_digest_is_taken():
    assert checksum.find(f"{S256}  disk\n{S512}  disk\n", {"disk"}, "sums") == f"sha512:{S512.lower()}"


def test_mirrors_may_name_the_file_differently():
    assert checksum.find(f"{S256}  disk-1.2.img\n", {"disk.img", "disk-1.2.img"}, "sums") == f"sha256:{S256}"


@pytest.mark.parametrize(
    "sums,reason",
    [
        ("", "SUMS has no line for disk.qcow2"),
        (f"{S256}  other-disk.qcow2", "SUMS has no line for disk.qcow2"),
        ("<html>not here</html>", "SUMS has no line for disk.qcow2"),
        (f"{S256}  disk.qcow2\n{'ee' * 32}  old/disk.qcow2", "SUMS has 2 different sha256 digests for disk.qcow2"),
        (f"{MD5}  disk.qcow2", "SUMS has a digest of 32 hex digits for disk.qcow2"),
    ],
)
def test_a_file_without_a_usable_sum_says_so(sums, reason):
    with pytest.raises(ItemError, match=reason) as raised:
        checksum.find(sums, {"disk.qcow2"}, "SUMS")
    assert raised.value.fault == "request"
