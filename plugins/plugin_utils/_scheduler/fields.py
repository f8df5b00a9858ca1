# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host record may say to the scheduler; a file of its own, for whoever writes one needs no arrays."""

from __future__ import annotations

# Numbers of a host record, with what stands for a missing one (None: the record is refused).
NUMBERS = {
    "vcpus": None,
    "vcpus_used": None,
    "memory_mb": None,
    "memory_mb_used": None,
    "disk_gb": None,
    "disk_gb_used": None,
    "cpu_allocation_ratio": 4.0,
    "ram_allocation_ratio": 1.0,
    "disk_allocation_ratio": 1.0,
    "reserved_vcpus": 0,
    "reserved_memory_mb": 512,
    "reserved_disk_gb": 0,
    "num_io_ops": 0,
    "failed_builds": 0,
    "hypervisor_version": 0,
}
_WORDS = """
    name uuid disk_available_least num_instances availability_zone enabled disabled_reason up hypervisor_type
    hypervisor_hostname host_ip traits instances aggregates inventory labels numa_topology pci_pools metrics cpu_info
    supported_instances cell stats extra
"""
FIELDS = frozenset(NUMBERS) | frozenset(_WORDS.split())
