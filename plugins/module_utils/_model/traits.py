# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host can do, in the words of os-traits. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable

# libvirt's CPU features that have a trait HW_CPU_X86_<FEATURE>, and those whose trait is named otherwise.
SAME = (
    "3dnow",
    "abm",
    "asf",
    "avx",
    "avx2",
    "avx512bw",
    "avx512cd",
    "avx512dq",
    "avx512er",
    "avx512f",
    "avx512ifma",
    "avx512pf",
    "avx512vbmi",
    "avx512vbmi2",
    "avx512vl",
    "avx512vnni",
    "avx512bitalg",
    "bmi2",
    "f16c",
    "fma4",
    "mmx",
    "mpx",
    "pdpe1gb",
    "sgx",
    "sse",
    "sse2",
    "sse4a",
    "ssse3",
    "stibp",
    "tbm",
    "xop",
)
RENAMED = {
    "aes": "AESNI",
    "amd-ssbd": "AMD_SSBD",
    "amx-bf16": "AMXBF16",
    "amx-int8": "AMXINT8",
    "amx-tile": "AMXTILE",
    "avx512-vpopcntdq": "AVX512VPOPCNTDQ",
    "bmi1": "BMI",
    "fma": "FMA3",
    "gfni": "AVX512GFNI",
    "hle": "TSX",
    "ibpb": "AMD_IBPB",
    "md-clear": "INTEL_MD_CLEAR",
    "pcid": "INTEL_PCID",
    "pclmuldq": "CLMUL",
    "pni": "SSE3",
    "rtm": "TSX",
    "sha-ni": "SHA",
    "spec-ctrl": "INTEL_SPEC_CTRL",
    "ssbd": "INTEL_SSBD",
    "sse4.1": "SSE41",
    "sse4.2": "SSE42",
    "svm": "SVM",
    "vaes": "AVX512VAES",
    "virt-ssbd": "AMD_VIRT_SSBD",
    "vmx": "VMX",
    "vpclmulqdq": "AVX512VPCLMULQDQ",
}
CPU = {**{name: name.upper() for name in SAME}, **RENAMED}
# What every host of ours can do: the stages image and domain see to it.
ALWAYS = ("COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_NODE")
BUSES = ("fdc", "ide", "sata", "scsi", "usb", "virtio")
SCREENS = ("bochs", "cirrus", "none", "qxl", "vga", "virtio", "vmvga")


def traits(arch: str, features: Iterable[str], buses: Iterable[str], screens: Iterable[str]) -> list[str]:
    """Return the traits of a host: its CPU's as guests get it, and the devices its QEMU can emulate."""
    found = {*ALWAYS, f"HW_ARCH_{arch.upper()}"}
    found.update(f"HW_CPU_X86_{CPU[name]}" for name in features if name in CPU and arch in ("x86_64", "i686"))
    found.update(f"COMPUTE_STORAGE_BUS_{name.upper()}" for name in buses if name in BUSES)
    found.update(f"COMPUTE_GRAPHICS_MODEL_{name.upper()}" for name in screens if name in SCREENS)
    return sorted(found)
