#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: requests
short_description: Checks what should run and turns it into instance records
description:
  - Checks what a user wrote against one schema, expands counts, and resolves the names of flavors, images and so on.
  - All that is wrong is told at once, each with its place, its value and the way out, before any host is touched.
  - It runs on the controller and asks nobody, so the same input always gives the same records.
extends_documentation_fragment:
  - virtfleet.compute.controller
attributes:
  check_mode:
    details:
      - It never changes anything.
options:
  flavors:
    description: The variable C(virtfleet_flavors).
    type: raw
  images:
    description: The variable C(virtfleet_images).
    type: raw
  ready_images:
    description: Images that are there without being written; an entry of O(images) takes the place of one here.
    type: raw
  tell_images:
    description: Whether RV(images) is wanted.
    type: bool
    default: false
  run_id:
    description: What this run is called, for RV(run_id).
    type: str
  networks:
    description: The variable C(virtfleet_networks).
    type: raw
  routers:
    description: The variable C(virtfleet_routers).
    type: raw
  volume_types:
    description: The variable C(virtfleet_volume_types).
    type: raw
  volumes:
    description: The variable C(virtfleet_volumes).
    type: raw
  volume_keys:
    description: The variable C(virtfleet_volume_keys).
    type: raw
  security_groups:
    description: The variable C(virtfleet_security_groups).
    type: raw
  server_groups:
    description: The variable C(virtfleet_server_groups).
    type: raw
  keypairs:
    description: The variable C(virtfleet_keypairs).
    type: raw
  cells:
    description: The variable C(virtfleet_cells).
    type: raw
  max_attempts:
    description: The variable C(virtfleet_max_attempts).
    type: raw
  projects:
    description: The variable C(virtfleet_projects).
    type: raw
  instances:
    description:
      - The variable C(virtfleet_instances).
      - Its secrets (user data, passwords, files) are in no result.
      - The filter P(virtfleet.compute.secrets_of#filter) passes them on.
    type: raw
    required: true
  existing:
    description:
      - Records of instances that hosts have told about.
      - They count against quotas, and what is there keeps its host and addresses.
    type: list
    elements: dict
    default: []
requirements:
  - jsonschema on the controller
notes:
  - C(docs/variables.md) of the collection lists every key of every option; C(docs/schema.json) is the same for editors.
  - The options are not checked by Ansible but against the schema, which names the nearest known key.
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Check what should run
  virtfleet.compute.requests:
    flavors: "{{ virtfleet_flavors }}"
    images: "{{ virtfleet_images }}"
    networks: "{{ virtfleet_networks }}"
    instances: "{{ virtfleet_instances }}"
  register: __request_result

- name: Check three web servers
  virtfleet.compute.requests:
    flavors:
      m1.small: {vcpus: 1, memory_mb: 2048, disk_gb: 20}
    images:
      debian-12: {url: "https://example.org/debian-12.qcow2"}
    networks:
      lan: {type: bridge, bridge: br0, subnets: [{cidr: 10.0.0.0/24}]}
    instances:
      - name: web
        count: 3
        flavor: m1.small
        image: debian-12
        networks: [{network: lan}]
"""

RETURN = r"""
images:
  description: The whole catalogue, each image as instance records have it, by name.
  returned: when O(tell_images)
  type: list
  elements: dict
  sample: [{name: debian-12, url: "https://example.org/debian-12.qcow2", disk_format: qcow2}]
instances:
  description: One record for each instance, in the order asked for; empty if anything is wrong.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name, unique within the project.
      type: str
      sample: web-1
    uuid:
      description: Its uuid, made of project and name, so the same on every run.
      type: str
      sample: 55726b4d-7686-5a38-855d-3db090bab39d
    project:
      description: Who owns it.
      type: str
      sample: default
    domain:
      description: Its name in libvirt.
      type: str
      sample: web-1
    host:
      description: Where it is; null until it is placed.
      type: str
      sample: kvm1
    hostname:
      description: The guest's own name.
      type: str
      sample: web-1
    state:
      description:
        - The state that is wanted, V(active), V(stopped) or V(absent).
        - An absent one has none of the keys that follow but ports and volumes.
      type: str
      sample: active
    flavor:
      description: The flavor with its name, all of it said.
      type: dict
    image:
      description: The image with its name, all of it said.
      type: dict
    volumes:
      description: The disks to build.
      type: list
      elements: dict
    ports:
      description: One for each network, with id, MAC, name of the tap and the network's settings.
      type: list
      elements: dict
    keys:
      description: The public keys of those who may log in.
      type: list
      elements: dict
    metadata:
      description: The user's keys and values.
      type: dict
    tags:
      description: The user's labels.
      type: list
      elements: str
    availability_zone:
      description: The zone it must be in, or null.
      type: str
    server_group:
      description: Its server group with name, policy and rules, or null.
      type: dict
    wait_for:
      description: When its boot counts as done.
      type: str
      sample: running
    config_drive:
      description: How the guest is told all this.
      type: str
      sample: nocloud
    config_drive_format:
      description: The file system that it is told by.
      type: str
      sample: iso9660
    launch_index:
      description: Its place among the instances of its entry, counted from 0.
      type: int
      sample: 0
    user_data_digest:
      description: Salted digest of its user data, vendor data and files; empty if it has none.
      type: str
    scheduling:
      description: What only the scheduler needs; C(entry) is the name of the entry it came from.
      type: dict
    spec_digest:
      description: Digest of all that makes the guest what it is.
      type: str
ovn:
  description: Whether one of O(networks) is of type V(ovn), so that OVN's database is to be told of ports.
  returned: success
  type: bool
  sample: false
run_id:
  description: What this run is called; the stages that follow find it beside RV(instances).
  returned: when O(run_id)
  type: str
  sample: vfr-7f3a
msg:
  description: All problems, one a line.
  returned: on failure
  type: str
"""
