#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: Read the registry
description:
  - Tells what the registry knows of instances, hosts and projects, all as it was at one moment.
  - Where there is no registry yet, there is nothing to tell, and none is made.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.registry
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  gather:
    description: What to read.
    type: list
    elements: str
    choices: [instances, hosts, projects, actions, history, volumes]
    default: [instances, hosts, projects]
  records:
    description: Whether each instance also has its whole record.
    type: bool
    default: false
  actions:
    description: How many entries of the log of actions to read, the newest first.
    type: int
    default: 100
seealso:
  - module: virtfleet.compute.claims
"""

EXAMPLES = r"""
- name: Read the registry
  virtfleet.compute.registry_info:
  delegate_to: kvm1

- name: Read only the instances, with their records
  virtfleet.compute.registry_info:
    gather: [instances]
    records: true
"""

RETURN = r"""
schema_version:
  description: The version of the registry's tables; empty when there is no registry.
  returned: success
  type: int
  sample: 1
instances:
  description: All instances, by project and name.
  returned: when O(gather) has V(instances)
  type: list
  elements: dict
  contains:
    uuid:
      description: The instance's UUID.
      type: str
      sample: 2c0fb7a4-6b3e-5d7c-9d8b-3f7b9a0c7d11
    project:
      description: Its project.
      type: str
      sample: default
    name:
      description: Its name.
      type: str
      sample: web-1
    domain:
      description: Its libvirt domain.
      type: str
      sample: web-1
    host:
      description: The host it is on.
      type: str
      sample: kvm1
    state:
      description: V(claimed), V(active) or V(changing).
      type: str
      sample: active
    flavor:
      description: The name of its flavor.
      type: str
      sample: m1.small
    image:
      description: The name of its image.
      type: str
      sample: debian-12
    addresses:
      description: Its addresses.
      type: list
      elements: str
      sample: [192.0.2.20]
    age:
      description: Seconds since it was claimed.
      type: int
      sample: 3600
    idle:
      description: Seconds since the registry last changed it.
      type: int
      sample: 3591
    created_at:
      description: When it was claimed, in UTC.
      type: str
      sample: '2026-01-01 10:00:00'
    updated_at:
      description: When the registry last changed it, in UTC.
      type: str
      sample: '2026-01-01 10:00:09'
    run:
      description: The run that claimed or changed it last.
      type: str
      sample: 20260101T100000-4711
    lease_until:
      description: Until when the claim is that run's alone, in UTC; empty when it is settled.
      type: str
      sample: '2026-01-01 10:15:00'
    expired:
      description: Whether the lease is over and the claim was never settled.
      type: bool
      sample: false
    record:
      description: The whole instance record.
      returned: with O(records=true)
      type: dict
      sample: {name: web-1}
hosts:
  description: All hosts that were ever seen, by name.
  returned: when O(gather) has V(hosts)
  type: list
  elements: dict
  contains:
    name:
      description: The host's name.
      type: str
      sample: kvm1
    updated_at:
      description: When its record was gathered, in UTC.
      type: str
      sample: '2026-01-01 10:00:00'
    age:
      description: Seconds since then.
      type: int
      sample: 42
    generation:
      description: How often the promises of the host have changed.
      type: int
      sample: 7
    record:
      description: The host record for the scheduler; what is in use, its instances and failed builds are those of now.
      type: dict
      sample: {name: kvm1, vcpus: 8, vcpus_used: 3}
projects:
  description: What each project that has instances uses of its quota.
  returned: when O(gather) has V(projects)
  type: dict
  sample: {default: {instances: 2, cores: 2, memory_mb: 512}}
actions:
  description: What was done to instances, the newest first.
  returned: when O(gather) has V(actions)
  type: list
  elements: dict
  sample: [{id: 1, at: '2026-01-01 10:00:00', instance: 2c0f, name: web-1, action: claim, host: kvm1}]
history:
  description: What the log knows of instances that are gone. Empty when there is no registry.
  returned: when O(gather) has V(history)
  type: dict
  contains:
    now:
      description: The time of the registry, in UTC.
      type: str
      sample: '2026-01-01 10:00:00'
    age:
      description: Seconds since the registry was made.
      type: int
      sample: 86400
    gone:
      description: By UUID and host the seconds since an instance is gone from a host.
      type: dict
      sample: {2c0fb7a4-6b3e-5d7c-9d8b-3f7b9a0c7d11: {kvm1: 7200}}
volumes:
  description: The volumes with a life of their own.
  returned: when O(gather) has V(volumes)
  type: list
  elements: dict
  contains:
    id:
      description: Its UUID.
      type: str
      sample: 5d7c0fb7-6b3e-5d7c-9d8b-3f7b9a0c7d11
    project:
      description: The project it is of.
      type: str
      sample: default
    name:
      description: Its name.
      type: str
      sample: db-data
    host:
      description: The host it is on; empty where all hosts see it.
      type: str
      sample: kvm1
    instance:
      description: UUID of the instance that has it, or null.
      type: str
      sample: 2c0fb7a4-6b3e-5d7c-9d8b-3f7b9a0c7d11
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._model.errors import ItemError
from ..module_utils._registry import report
from ..module_utils._registry.connection import reading

ARGUMENTS = {
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": ["instances", "hosts", "projects", "actions", "history", "volumes"],
        "default": ["instances", "hosts", "projects"],
    },
    "records": {"type": "bool", "default": False},
    "actions": {"type": "int", "default": 100},
    # A URL may carry a password.
    "registry_url": {"type": "str", "default": "sqlite:////var/lib/virtfleet/registry/registry.db", "no_log": True},
    "timeout": {"type": "int", "default": 60},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    try:
        with reading(asked["registry_url"], asked["timeout"]) as connection:
            told = report.everything(connection, asked["gather"], asked["records"], asked["actions"])
    except ItemError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
