# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traits in the words of os-traits."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.module_utils._model.traits import traits


def test_features_and_devices_become_traits():
    found = traits("x86_64", ["aes", "avx2", "sse4.1", "sha-ni", "unheard-of"], ["virtio", "xen"], ["virtio", "gop"])
    assert {"HW_CPU_X86_AESNI", "HW_CPU_X86_AVX2", "HW_CPU_X86_SSE41", "HW_CPU_X86_SHA", "HW_ARCH_X86_64"} <= set(found)
    assert "COMPUTE_STORAGE_BUS_VIRTIO" in found and "COMPUTE_STORAGE_BUS_XEN" not in found
    assert "COMPUTE_GRAPHICS_MODEL_VIRTIO" in found
    assert found == sorted(set(found))


def test_an_arm_host_has_no_x86_traits():
    assert not [one for one in traits("aarch64", ["aes"], [], []) if "X86" in one]
