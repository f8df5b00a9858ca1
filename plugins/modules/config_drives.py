#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: config_drives
short_description: Make the config drives of instances
description:
  - Every instance that wants one has a config drive afterwards, a small file system from which its guest learns host
    name, network, keys, metadata, files and user data at its first boot.
  - It is made anew only when what it says has changed. A guest that is running reads the new one when it is started
    again.
  - All documents are JSON, which is YAML too.
author: The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    description: Shows the names of the documents, never what they hold.
  platform:
    support: full
    platforms: posix
requirements:
  - python3-pycdlib on the host, and mtools where a drive is V(vfat)
options:
  instances:
    description:
      - The instance records, of which C(name), C(uuid), C(hostname), C(project), C(availability_zone), C(metadata),
        C(keys), C(ports), C(launch_index), C(flavor.name), C(image.properties), C(config_drive) and
        C(config_drive_format) are read.
      - C(config_drive) is V(nocloud) for the layout of cloud-init's NoCloud (label C(cidata)), V(openstack) for that
        of a config drive of Nova (label C(config-2)), or V(none).
      - C(config_drive_format) is V(iso9660), which is the default, or V(vfat).
      - The network is static where a port has C(addresses) and DHCP where it has none. The first port with a gateway
        gives the default route of its address family. C(routes) of a subnet are those of the ports with an address
        in it.
    type: list
    elements: dict
    required: true
  secrets:
    description:
      - What the guests are told and nobody else may see, by the uuid of the instance.
      - C(user_data) is in base64, as in Nova's API, so that it may be compressed or of several parts; at most 65535
        characters of it.
      - C(vendor_data) is a text as user data, from who runs the fleet; what the user data says goes before it.
      - C(admin_pass) is a hash of crypt(3) for the password of the image's default user, one of C($6$), C($5$),
        C($2a$), C($2y$) and C($1$), for cloud-init takes any other for a password in clear.
      - C(files) are the paths in the guest and their content in base64. With V(nocloud), C(write_files) of the user
        data takes their place.
    type: dict
    default: {}
  bus:
    description:
      - The bus by which the guest sees the drive, told to the stages after this one. The property C(hw_cdrom_bus) of
        an image goes before it.
      - V(auto) is the bus of the root disk if that is V(virtio) or V(scsi), else the CD-ROM of the machine.
      - The cloud kernels of the distributions often have no driver for V(sata), which is the usual CD-ROM of a q35
        machine.
    type: str
    choices: [auto, virtio, scsi, sata, ide, usb]
    default: auto
  state:
    description:
      - V(present) makes the config drives.
      - V(absent) removes those of the instances.
    type: str
    choices: [present, absent]
    default: present
  state_dir:
    description:
      - Where the host keeps what it has; the drives are C(instances/<uuid>/config.iso) below it, for root alone.
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the locks are.
    type: path
    default: /run/virtfleet
seealso:
  - module: virtfleet.compute.volumes
"""

EXAMPLES = r"""
- name: Make the config drive of an instance
  virtfleet.compute.config_drives:
    instances:
      - name: web-1
        uuid: 5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11
        hostname: web-1
        config_drive: nocloud
        keys: [{name: ops, public_key: ssh-ed25519 AAAAC3Nza ops}]
        ports:
          - network: lan
            mac: 52:54:00:ab:cd:ef
            mtu: 1500
            addresses: [{address: 10.0.0.31, prefix: 24, gateway: 10.0.0.1, dns: [10.0.0.1]}]
    secrets:
      5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11:
        user_data: "{{ lookup('ansible.builtin.file', 'web.yml') | ansible.builtin.b64encode }}"

- name: Remove the config drive of an instance
  virtfleet.compute.config_drives:
    instances:
      - name: web-1
        uuid: 5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11
    state: absent
"""

RETURN = r"""
instances:
  description: The records of O(instances), in order, with what became of each.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the instance.
      type: str
      sample: web-1
    changed:
      description: Whether its config drive was made or removed.
      type: bool
      sample: true
    failed:
      description: Whether it has failed.
      type: bool
      sample: false
    msg:
      description: Why it has failed.
      type: str
      sample: user_data is not base64
    fault:
      description: Whether another host may succeed (V(host)) or none (V(request)). Only for a failed one.
      type: str
      sample: request
    config_drive_path:
      description: Where the config drive is. Only for an instance that has one.
      type: str
      sample: /var/lib/virtfleet/instances/5f0c2a52-9f6f-5f6e-8a53-0c3f6f0a5b11/config.iso
    config_drive_bus:
      description: The bus by which the guest is to see it. Only for an instance that has one.
      type: str
      sample: virtio
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import each, finish, unique_names
from ..module_utils._config_drive import drive
from ..module_utils._model.config_drive import BUSES

THREADS = 4


def main():
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "bus": {"type": "str", "choices": ["auto", *BUSES], "default": "auto"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
            "run_dir": {"type": "path", "default": "/run/virtfleet"},
        },
        supports_check_mode=True,
    )
    instances, secrets = module.params["instances"], module.params["secrets"]
    state_dir, run_dir, bus = (module.params[key] for key in ("state_dir", "run_dir", "bus"))
    wrong = unique_names(instances)
    if wrong:
        module.fail_json(msg=wrong)

    def present(instance):
        own = secrets.get(instance["uuid"]) or {}
        if module.check_mode:
            return drive.look(instance, own, state_dir, bus)
        return drive.provide(instance, own, state_dir, run_dir, bus)

    def absent(instance):
        if module.check_mode:
            return drive.look_removed(instance, state_dir)
        return drive.withdraw(instance, state_dir, run_dir)

    take = present if module.params["state"] == "present" else absent
    finish(module, "instances", instances, each(instances, take, THREADS))


if __name__ == "__main__":
    main()
