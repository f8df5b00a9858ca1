# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which traits a request requires of its host and which it forbids: the written ones and those that features imply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .names import refuse
from .operators import is_true
from .policy import Policy

FORMS = ("required", "forbidden")
# Image property -> prefix of the trait that a host must have (only with image_metadata_prefilter).
_PREFILTER = {
    "hw_cdrom_bus": "COMPUTE_STORAGE_BUS",
    "hw_disk_bus": "COMPUTE_STORAGE_BUS",
    "hw_video_model": "COMPUTE_GRAPHICS_MODEL",
    "hw_vif_model": "COMPUTE_NET_VIF_MODEL",
    "hw_architecture": "HW_ARCH",
    "hw_emulation_architecture": "COMPUTE_ARCH",
    "hw_viommu_model": "COMPUTE_VIOMMU",
}
_MEMORY_ENCRYPTION = {"amd-sev": "HW_CPU_X86_AMD_SEV", "amd-sev-es": "HW_CPU_X86_AMD_SEV_ES"}
_ADDRESS_MODES = {
    "passthrough": "COMPUTE_ADDRESS_SPACE_PASSTHROUGH",
    "emulate": "COMPUTE_ADDRESS_SPACE_EMULATED",
}


def wanted_traits(
    name: str, specs: Mapping[str, str], properties: Mapping[str, Any], given: Mapping[str, Any], policy: Policy
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the traits that the host must have and those that it must not have."""
    sides: dict[str, set[str]] = {form: set() for form in FORMS}
    for source, values in (("flavor", specs), ("image", properties)):
        for key, value in values.items():
            prefix, colon, trait = str(key).partition(":")
            if not colon or not prefix.startswith("trait"):
                continue
            if value not in FORMS or not trait:
                refuse(f"request {name}: {source} {key}={value} must be trait:NAME=required or trait:NAME=forbidden")
            sides[value].add(trait)
    listed = properties.get("traits_required") or ()
    sides["required"].update([listed] if isinstance(listed, str) else listed)
    sides["required"].update(_implied(specs, properties))
    sides["required"].update(_prefiltered(properties, given, policy))
    clash = sides["required"] & sides["forbidden"]
    if clash:
        refuse(f"request {name}: trait {min(clash)} is both required and forbidden; remove one of the two")
    return frozenset(sides["required"]), frozenset(sides["forbidden"])


def _implied(specs: Mapping[str, str], properties: Mapping[str, Any]) -> Iterator[str]:
    """Yield the traits of features that only some hosts have."""

    def asked(feature: str) -> str:
        value = specs.get(f"hw:{feature}", properties.get(f"hw_{feature}"))
        return "" if value is None else str(value).lower()

    if "accel:device_profile" in specs:
        yield "COMPUTE_ACCELERATORS"
    if is_true(asked("virtio_packed_ring")):
        yield "COMPUTE_NET_VIRTIO_PACKED"
    if asked("sound_model") == "virtio":
        yield "COMPUTE_SOUND_MODEL_VIRTIO"
    if is_true(asked("firmware_stateless")):
        yield "COMPUTE_SECURITY_STATELESS_FIRMWARE"
    if asked("pci_numa_affinity_policy") == "socket":
        yield "COMPUTE_SOCKET_PCI_NUMA_AFFINITY"
    if "required" in (specs.get("os:secure_boot"), properties.get("os_secure_boot")):
        yield "COMPUTE_SECURITY_UEFI_SECURE_BOOT"
    if asked("maxphysaddr_mode") in _ADDRESS_MODES:
        yield _ADDRESS_MODES[asked("maxphysaddr_mode")]
    if is_true(asked("mem_encryption")):
        yield _MEMORY_ENCRYPTION.get(asked("mem_encryption_model"), "HW_CPU_X86_AMD_SEV")
    if is_true(asked("ephemeral_encryption")):
        yield "COMPUTE_EPHEMERAL_ENCRYPTION"
        if asked("ephemeral_encryption_format"):
            yield f"COMPUTE_EPHEMERAL_ENCRYPTION_{asked('ephemeral_encryption_format').upper()}"
    if asked("tpm_version"):
        yield "COMPUTE_SECURITY_TPM_2_0" if asked("tpm_version") == "2.0" else "COMPUTE_SECURITY_TPM_1_2"
        yield "COMPUTE_SECURITY_TPM_CRB" if asked("tpm_model") == "tpm-crb" else "COMPUTE_SECURITY_TPM_TIS"
        yield f"COMPUTE_SECURITY_TPM_SECRET_SECURITY_{(specs.get('hw:tpm_secret_security') or 'user').upper()}"


def _prefiltered(properties: Mapping[str, Any], given: Mapping[str, Any], policy: Policy) -> Iterator[str]:
    """Yield the traits of Nova's two optional image pre-filters."""
    if policy.image_metadata_prefilter:
        for key, prefix in _PREFILTER.items():
            if properties.get(key):
                yield f"{prefix}_{str(properties[key]).replace('-', '_').upper()}"
    if policy.query_placement_for_image_type_support and not given.get("boot_from_volume"):
        disk_format = given.get("image_disk_format")
        if disk_format:
            yield f"COMPUTE_IMAGE_TYPE_{disk_format.upper()}"
