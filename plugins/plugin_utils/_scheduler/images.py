# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image properties as Nova knows them: their names, their old names, their canonical values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .operators import is_true

_YES_OR_NO = """
    hw_boot_menu hw_ephemeral_encryption hw_firmware_stateless hw_ipxe_boot hw_locked_memory hw_mem_encryption
    hw_pmu hw_qemu_guest_agent hw_time_hpet hw_vif_multiqueue_enabled hw_virtio_packed_ring img_bdm_v2
    img_bittorrent img_cache_in_nova img_hide_hypervisor_id img_linked_clone img_use_agent os_require_quiesce
    os_skip_agent_inject_files_at_boot os_skip_agent_inject_ssh
"""
_OTHERS = """
    hw_architecture hw_auto_disk_config hw_cdrom_bus hw_cpu_cores hw_cpu_max_cores hw_cpu_max_sockets
    hw_cpu_max_threads hw_cpu_policy hw_cpu_realtime_mask hw_cpu_sockets hw_cpu_thread_policy hw_cpu_threads
    hw_device_id hw_disk_bus hw_disk_type hw_emulation_architecture hw_ephemeral_encryption_format
    hw_ephemeral_encryption_secret_uuid hw_firmware_type hw_floppy_bus hw_input_bus hw_machine_type
    hw_maxphysaddr_bits hw_maxphysaddr_mode hw_mem_encryption_model hw_mem_page_size hw_numa_cpus hw_numa_mem
    hw_numa_nodes hw_pci_numa_affinity_policy hw_pointer_model hw_redirected_usb_ports hw_rescue_bus
    hw_rescue_device hw_rng_model hw_scsi_model hw_serial_port_count hw_sound_model hw_tpm_model hw_tpm_version
    hw_usb_model hw_video_model hw_video_ram hw_vif_model hw_viommu_model hw_vm_mode hw_watchdog_action
    img_block_device_mapping img_compression_level img_config_drive img_hv_requested_version img_hv_type
    img_mappings img_owner_id img_root_device_name img_signature img_signature_certificate_uuid
    img_signature_hash_method img_signature_key_type img_version os_admin_user os_command_line os_distro
    os_secure_boot os_type
"""
_BOOLEANS = frozenset(_YES_OR_NO.split())
KNOWN = _BOOLEANS | frozenset(_OTHERS.split())
_OLD_NAMES = {
    "architecture": "hw_architecture",
    "auto_disk_config": "hw_auto_disk_config",
    "cache_in_nova": "img_cache_in_nova",
    "hypervisor_type": "img_hv_type",
    "hypervisor_version_requires": "img_hv_requested_version",
    "ipxe_boot": "hw_ipxe_boot",
    "owner_id": "img_owner_id",
    "root_device_name": "img_root_device_name",
    "vm_mode": "hw_vm_mode",
    "vmware_disktype": "hw_disk_type",
    "vmware_ostype": "os_distro",
}
_CANONICAL = {
    "hw_architecture": {"amd64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686", "x86_32": "i686"},
    "img_hv_type": {"xapi": "xen"},
    "hw_vm_mode": {"pv": "xen", "hv": "hvm", "baremetal": "hvm"},
}


def canonical_properties(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties under their present names and with canonical values; others are kept as they are."""
    properties = {key: _canonical_value(key, value) for key, value in given.items() if key not in _OLD_NAMES}
    for old, new in _OLD_NAMES.items():
        if old in given:
            properties[new] = _canonical_value(new, given[old])
    return properties


def _canonical_value(key: str, value: Any) -> Any:
    """Return the value in the form Nova compares."""
    if key in _BOOLEANS:
        return value if isinstance(value, bool) else is_true(value)
    if key in _CANONICAL and value is not None:
        lowered = str(value).lower()
        return _CANONICAL[key].get(lowered, lowered)
    return value


def comparable(properties: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the known properties as pairs of text, the form in which two images are compared."""
    return {(key, str(value)) for key, value in canonical_properties(properties).items() if key in KNOWN}
