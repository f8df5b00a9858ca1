# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running guests as an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: instances
short_description: The guests of a fleet as inventory
description:
  - Asks libvirt on every host named in O(connections), all at once, for the instances that its domains remember.
  - A guest has its first address as C(ansible_host), the instance record as C(virtfleet_instance),
    and the libvirt state as C(virtfleet_power_state).
  - It is in the groups C(project_*), C(image_*), C(flavor_*), C(az_*) and C(tag_*), where it has one.
  - The file must end in C(virtfleet.yml) or C(virtfleet.yaml).
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [virtfleet.compute.instances]
  connections:
    description:
      - URIs of libvirt, for example C(qemu+ssh://root@kvm1/system).
      - A host that does not answer is left out with a warning.
    type: list
    elements: str
    default: ['qemu:///system']
  power_states:
    description: Guests in which of libvirt's states are listed.
    type: list
    elements: str
    default: [running]
requirements:
  - libvirt-python on the controller
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
# fleet.virtfleet.yml
plugin: virtfleet.compute.instances
connections:
  - qemu+ssh://root@kvm1/system
  - qemu+ssh://root@kvm2/system
compose:
  ansible_user: "'debian'"
keyed_groups:
  - prefix: role
    key: virtfleet_instance.metadata.role
"""

from concurrent.futures import ThreadPoolExecutor

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ..module_utils._hypervisor.records import read_records
from ..module_utils._model.errors import ItemError

THREADS = 32


def read(uri):
    """Return what the host told, and why it did not."""
    try:
        return read_records(uri), ""
    except ItemError as error:
        return [], str(error)


def groups_of(record):
    """Return the groups of an instance, before their names are made safe."""
    named = (
        ("project", record.get("project")),
        ("image", (record.get("image") or {}).get("name")),
        ("flavor", (record.get("flavor") or {}).get("name")),
        ("az", record.get("availability_zone")),
    )
    return [f"{kind}_{name}" for kind, name in named if name] + [f"tag_{tag}" for tag in record.get("tags") or []]


def first_address(record):
    """Return the address a guest is reached by, or nothing."""
    addresses = (one["address"] for port in record.get("ports") or [] for one in port.get("addresses") or [])
    return next(addresses, None)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Asks the hosts, and fills the inventory."""

    NAME = "virtfleet.compute.instances"

    def verify_file(self, path):
        """Tell whether the file is meant for this plugin."""
        return super().verify_file(path) and path.endswith(("virtfleet.yml", "virtfleet.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """The inventory has every guest in one of the wanted states."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        is_cached = cache and self.get_option("cache") and key in self._cache
        found = self._cache[key] if is_cached else self._ask(self.get_option("connections"))
        if self.get_option("cache") and not is_cached:
            self._cache[key] = found
        for one in found:
            if one["power_state"] in self.get_option("power_states"):
                self._add(one["record"], one["power_state"])

    def _ask(self, connections):
        """Return what all hosts told; that none did is an error."""
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            answers = list(pool.map(read, connections))
        for _records, problem in answers:
            if problem:
                self.display.warning(problem)
        if answers and all(problem for _records, problem in answers):
            raise AnsibleParserError("No host answered: " + "; ".join(problem for _records, problem in answers))
        return [one for records, _problem in answers for one in records]

    def _add(self, record, power_state):
        """The inventory has this guest."""
        name = self.inventory.add_host(record["domain"])
        address = first_address(record)
        if address:
            self.inventory.set_variable(name, "ansible_host", address)
        self.inventory.set_variable(name, "virtfleet_instance", record)
        self.inventory.set_variable(name, "virtfleet_power_state", power_state)
        for group in groups_of(record):
            self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), name)
        strict = self.get_option("strict")
        variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)
