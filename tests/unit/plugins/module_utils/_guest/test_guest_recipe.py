# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of the guest image: what goes in, in which order, and when it is built anew."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._guest import recipe
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
DEPENDENCIES = """\
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/block/virtio_blk.ko.zst: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko
kernel/fs/fat/fat.ko:
"""
BUILTIN = "kernel/fs/ext4/ext4.ko\nkernel/fs/isofs/isofs.ko\nkernel/drivers/net/virtio_net.ko\n"


def make(release=None, **files):
    release = DEBIAN if release is None else release
    return recipe.recipe("guest", release, ("/etc/apt/sources.list",), files or {"root/etc/inittab": "x"})


def test_the_kernel_is_that_of_the_distribution():
    assert make().packages[0] == "linux-image-cloud-amd64"
    assert make({"ID": "ubuntu", "VERSION_CODENAME": "noble"}).packages[0] == "linux-image-virtual"
    assert make({"ID": "ubuntu", "VERSION_CODENAME": "noble"}).suite == "noble"


@pytest.mark.parametrize("release", [{}, {"ID": "fedora", "VERSION_ID": "41"}, {"ID": "debian"}])
def test_an_unknown_system_is_refused_by_name(release):
    with pytest.raises(ItemError, match=f"'{release.get('ID') or 'an unknown system'}'"):
        make(release)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"suite": "trixie"},
        {"sources": ()},
        {"packages": ("jq",)},
        {"files": {"root/etc/inittab": "y"}},
        {"files": {"root/etc/inittab2": "x"}},
    ],
)
def test_each_input_changes_the_digest(change):
    assert recipe.digest(dataclasses.replace(make(), **change)) != recipe.digest(make())


def test_the_order_of_the_files_does_not_change_the_digest():
    assert recipe.digest(make(a="1", b="2")) == recipe.digest(make(b="2", a="1"))


def test_the_builder_version_changes_the_digest(monkeypatch):
    before = recipe.digest(make())
    monkeypatch.setattr(recipe, "BUILDER", recipe.BUILDER + 1)
    assert recipe.digest(make()) != before


def test_each_driver_comes_after_what_it_needs_and_once():
    names = [recipe.driver_name(file) for file in recipe.load_order(DEPENDENCIES, BUILTIN)]
    assert names == ["virtio_ring", "virtio", "virtio_pci", "virtio_blk", "fat", "vfat", "virtio_rng"]


def test_a_kernel_without_a_needed_driver_is_refused():
    with pytest.raises(ItemError, match="no driver ext4, isofs"):
        recipe.load_order(DEPENDENCIES, "kernel/drivers/net/virtio_net.ko\n")
