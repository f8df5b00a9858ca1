#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Tells what a compute host has, can do and has promised
description:
  - Returns one record of the host in the form that the C(placement) lookup schedules with and the registry keeps.
  - Capacity is counted in promises. Every defined domain counts with what it may use, running or not, ours or not.
    The disk of ours is that of its flavor; the disk of another is the length of its disk files, or the virtual size in
    their qcow2 headers (network disks and block devices of others count as 0).
  - A host whose libvirtd does not answer is no failure but a record with C(up=false) and the reason, so that the others
    go on.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  action:
    description: Whether a part of it runs on the controller.
    support: full
    details: A host that cannot be asked, for it cannot be reached or has no Python, has a record there that says so.
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: linux
    support: full
requirements:
  - python3-libvirt
  - python3-lxml
options:
  name:
    description: The name of the host in the inventory. It is that of the host that the task runs on if it is left out.
    type: str
  virt_type:
    description:
      - Whether guests run on V(kvm) or are emulated by V(qemu). CPU features are those such guests get.
      - V(auto) is what M(virtfleet.compute.virt_types) found out and keeps in C(host.json) of O(state_dir), else
        V(kvm).
    type: str
    choices: [auto, kvm, qemu]
    default: auto
  host_ip:
    description: The address that others reach the host at.
    type: str
    default: ""
  updated_at:
    description: When the record is made, as the caller wants it written down. The time of day in UTC if it is left out.
    type: str
  settings:
    description:
      - What the host does not know of itself and the record is to hold, such as C(cpu_allocation_ratio),
        C(reserved_memory_mb), C(availability_zone) or C(aggregates). It goes before what the host says.
    type: dict
    default: {}
  variables:
    description:
      - What the names of variables begin with from which all options and settings are taken that the task does not
        give, such as C(host_info_) for C(host_info_virt_type) and C(host_info_cpu_allocation_ratio).
      - Where there is none, O(virt_type), O(state_dir) and O(run_dir) are C(virtfleet_virt_type),
        C(virtfleet_state_dir) and C(virtfleet_run_dir), and O(host_ip) is C(ansible_host) if that is an address.
      - Then O(whole) is, without such a variable, what the run of this playbook is to delete.
    type: str
  state_dir:
    description: Where the instances live on the host; its file system is the host's disk.
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the locks are, and the note of which rules were loaded.
    type: path
    default: /run/virtfleet
  whole:
    description:
      - The UUIDs of the instances of ours whose RV(host.instances[].record) is told whole, or V(all).
      - Of all others it has what a boot reads, a tenth of it - C(project), C(created_at), C(ports) with their
        addresses, C(server_group) and the C(properties) of C(image).
    type: list
    elements: str
    default: [all]
  packed:
    description:
      - Whether RV(host.instances) is one text instead of a list, JSON that is deflated and in base64. That of a hundred
        instances, none of them told whole, has about 13 KB.
      - The filter P(virtfleet.compute.existing#filter) makes a list of it again, and all other filters of this
        collection take either.
    type: bool
    default: false
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
"""

EXAMPLES = r"""
- name: Ask the host what it has and has promised
  virtfleet.compute.host_info:
    name: "{{ inventory_hostname }}"
  register: result

- name: Say what the host does not know of itself
  virtfleet.compute.host_info:
    name: "{{ inventory_hostname }}"
    host_ip: "{{ ansible_host }}"
    virt_type: qemu
    updated_at: "2026-01-01 10:00:00"
    settings:
      cpu_allocation_ratio: 4.0
      ram_allocation_ratio: 1.0
"""

RETURN = r"""
host:
  description: The host record.
  returned: always
  type: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: kvm1
    up:
      description: Whether libvirtd answered.
      type: bool
    enabled:
      description: Always true; O(settings) may say otherwise.
      type: bool
    disabled_reason:
      description: Why the host is not up, or empty.
      type: str
    vcpus:
      description: CPUs of the host.
      type: int
      sample: 16
    vcpus_used:
      description: vCPUs of all defined domains.
      type: int
    memory_mb:
      description: Memory of the host in MiB.
      type: int
      sample: 64216
    memory_mb_used:
      description: Memory of all defined domains in MiB.
      type: int
    disk_gb:
      description: Size of the file system of O(state_dir) in GiB.
      type: int
    disk_gb_used:
      description: What the disks of all defined domains may grow to, in GiB.
      type: int
    disk_available_least:
      description: What is free when every disk has grown as far as it may, in GiB; negative when that is too much.
      type: int
    num_instances:
      description: How many domains are defined, ours or not.
      type: int
    num_io_ops:
      description: Always 0.
      type: int
    hypervisor_type:
      description: Always V(QEMU).
      type: str
    hypervisor_version:
      description: Version of QEMU as Nova's number.
      type: int
      sample: 7002022
    hypervisor_hostname:
      description: What the host calls itself.
      type: str
      sample: kvm1.example.org
    host_ip:
      description: The address as given.
      type: str
    cpu_info:
      description: Architecture, model and vendor of the CPU, its topology, and the features that guests get.
      type: dict
    supported_instances:
      description: Each architecture, hypervisor type and mode that a guest may have.
      type: list
      elements: list
      sample: [["x86_64", "qemu", "hvm"]]
    numa_topology:
      description: The NUMA cells, each with C(id), C(memory_mb), C(cpuset), C(siblings) and C(mempages).
      type: dict
    traits:
      description: What guests get, in the words of os-traits.
      type: list
      elements: str
      sample: ["COMPUTE_NODE", "HW_CPU_X86_AVX2"]
    extra:
      description: What the scheduler does not look at by itself.
      type: dict
      contains:
        virt_type:
          description: The type as given.
          type: str
        updated_at:
          description: The time as given.
          type: str
        qemu_version:
          description: Version of QEMU.
          type: str
          sample: 7.2.22
        libvirt_version:
          description: Version of libvirt.
          type: str
          sample: 9.0.0
        machine_types:
          description: The machine types for the host's own architecture.
          type: list
          elements: str
        group_members:
          description: The security groups that rules of saved ports name, each with the digest of its members.
          type: dict
        image_cache:
          description: The files of the image cache, images and their records.
          type: list
          elements: str
        volumes:
          description: The ids of the volumes with a life of their own that only this host has.
          type: list
          elements: str
        bridges:
          description: The MTU of each bridge of the host's kernel, by name.
          type: dict
          sample: {br0: 1500}
    instances:
      description: Every defined domain with its promise, and our record of it when it is ours; a text with O(packed).
      type: list
      elements: dict
      contains:
        uuid:
          description: UUID of the domain.
          type: str
        name:
          description: Name of the instance, or of the domain when it is not ours.
          type: str
        project_id:
          description: Project of the instance.
          type: str
        ours:
          description: Whether we made it.
          type: bool
        state:
          description: Nova's power state.
          type: str
          sample: running
        damaged:
          description: Whether a port of ours does not stand as it was plugged, as tap, bridge or rules were changed.
          type: bool
        spec_digest:
          description: Digest of the specification it was made from.
          type: str
        vcpus:
          description: vCPUs it may have.
          type: int
        memory_mb:
          description: Memory it may use in MiB.
          type: int
        disk_gb:
          description: Disk it may use in GiB.
          type: int
        record:
          description: Our record of the instance, as much of it as O(whole) asks for, or null.
          type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._files import instance_folders, port_files
from ..module_utils._host import memory
from ..module_utils._hypervisor import host
from ..module_utils._hypervisor.connection import connect
from ..module_utils._model.errors import ItemError
from ..module_utils._model.host import Look, down, pack, port_ids, thinned, with_traces

OPTIONS = {
    "name": {"type": "str"},
    "virt_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
    "host_ip": {"type": "str", "default": ""},
    "updated_at": {"type": "str"},
    "settings": {"type": "dict", "default": {}},
    "variables": {"type": "str"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "whole": {"type": "list", "elements": "str", "default": ["all"]},
    "packed": {"type": "bool", "default": False},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def look(module, record):
    """Return what the host says of its ports; where they are unreadable, that all is as told."""
    directory = module.params["state_dir"]
    if not port_files(directory):
        return Look(set(), set(), {})
    # Half of all that this module is made of, and a host without ports does not need it.
    from ..module_utils._network import standing
    from ..module_utils._network.host import Host

    try:
        return standing.look(Host(directory, module.params["run_dir"]))
    except ItemError as error:
        module.warn(f"{module.params['name']}: whether ports are damaged is not known: {error}")
        return Look(set().union(*map(port_ids, record["instances"])), set(), {})


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params = module.params
    virt_type = params["virt_type"]
    if virt_type == "auto":
        virt_type = memory.load(params["state_dir"]).get("virt_type", "kvm")
    try:
        with connect(params["uri"]) as connection:
            record = host.record(connection, params["name"], virt_type, params["state_dir"])
        ports = look(module, record)
        record = with_traces(record, ports.standing, {*ports.owners, *instance_folders(params["state_dir"])})
        record["extra"]["group_members"] = ports.groups
        record = thinned(record, params["whole"])
    except ItemError as error:
        module.warn(f"{params['name']} is not used: {error}")
        record = down(params["name"], virt_type, str(error))
    if params["packed"]:
        record["instances"] = pack(record["instances"])
    extra = {**record["extra"], "updated_at": params["updated_at"]}
    module.exit_json(changed=False, host={**record, "host_ip": params["host_ip"], "extra": extra, **params["settings"]})


if __name__ == "__main__":
    main()
