#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ready
short_description: Waits until guests are what their records wait for
description:
  - Waits for all instances of a list at once, from the outside, until each is what its C(wait_for) asks.
  - With C(running) the guest's CPU runs. With C(address) the guest answers for its IPv4 address on its bridge. With
    C(agent) it has opened the channel of its guest agent. With C(console) it has printed O(marker). With C(ssh) its
    first address greets as an SSH server.
  - A guest that dies meanwhile fails at once, with the last lines of its console. They are the guest's words and not to
    be trusted, so they are cut short and printable.
  - An instance whose C(state) is V(stopped) is not waited for.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: It changes nothing. In check mode it does not wait, for a guest may not exist yet.
  diff_mode:
    support: none
  platform:
    platforms: linux
    support: full
requirements:
  - python3-libvirt
  - python3-lxml
options:
  instances:
    description:
      - The instance records of this host, after M(virtfleet.compute.domains).
      - Time is counted from C(domain_at) of each record, by the host's clock, also over several calls.
    type: list
    elements: dict
    required: true
  timeout:
    description: Seconds until an instance must be ready.
    type: float
    default: 300
  slice:
    description:
      - Seconds after which the module returns even when it still waits, with RV(pending) saying for what, so that a
        task with C(until) and C(retries) shows progress. V(0) waits until the end.
    type: float
    default: 0
  since:
    description:
      - When the wait began, in seconds since 1970 by the host's clock, for records without C(domain_at). V(0) is now.
    type: float
    default: 0
  marker:
    description: Regular expression that a guest prints on its console when it is ready.
    type: str
    default: VIRTFLEET-READY
  state_dir:
    description: Where the instances live on the host.
    type: path
    default: /var/lib/virtfleet
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
"""

EXAMPLES = r"""
- name: Wait for the guests of this host
  virtfleet.compute.ready:
    instances: "{{ instances }}"

- name: Wait for the guests of this host, showing progress every five seconds
  virtfleet.compute.ready:
    instances: "{{ instances }}"
    slice: 5
  register: result
  until: not (result.pending | default([]))
  retries: 100
  delay: 0
  failed_when: result.instances is not defined
"""

RETURN = r"""
instances:
  description: The instances in the order given, each with what became of it.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: web-1
    changed:
      description: Always false.
      type: bool
    failed:
      description: Whether the guest died or was not ready in time.
      type: bool
    msg:
      description: Why it failed, or empty.
      type: str
      sample: >-
        web-1 is running and still waiting for ssh 10.0.0.31:22 after 300 s; the guest's last words (untrusted): login:
    fault:
      description: Who has to act when it failed, V(host) (another host may do) or V(request).
      type: str
    ready:
      description: Whether the guest is what was waited for.
      type: bool
    ready_after:
      description: Seconds from the start to the end of the wait.
      type: float
      sample: 6.9
pending:
  description: One line for each instance that is still waited for when the slice is over.
  returned: always
  type: list
  elements: str
  sample: ["web-3: waiting for ssh 10.0.0.5:22, 7 s"]
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _bulk
from ..module_utils._hypervisor import ready
from ..module_utils._hypervisor.connection import connect
from ..module_utils._model.errors import ItemError
from ..module_utils._model.instance import Instance

OPTIONS = {
    "instances": {"type": "list", "elements": "dict", "required": True},
    "timeout": {"type": "float", "default": 300},
    "slice": {"type": "float", "default": 0},
    "since": {"type": "float", "default": 0},
    "marker": {"type": "str", "default": "VIRTFLEET-READY"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def outcome(item, watch):
    """Return what became of the wait for one instance."""
    facts = {"ready": watch.ready, "ready_after": watch.took}
    return _bulk.Outcome(item["name"], error=watch.error, fault="host" if watch.error else "", facts=facts)


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    items, params = module.params["instances"], module.params
    if module.check_mode:
        _bulk.finish(module, "instances", items, [_bulk.Outcome(item["name"]) for item in items], pending=[])
    waiting = ready.Waiting(params["timeout"], params["state_dir"], params["marker"])
    since = params["since"] or time.time()
    watches = {}

    def begin(item):
        watch = ready.begin(Instance.from_record(item), domains, waiting, float(item.get("domain_at") or since))
        watches[id(item)] = watch
        return outcome(item, watch)

    try:
        with connect(params["uri"]) as connection:
            domains = ready.find(connection)
            outcomes = _bulk.each(items, begin)
            ready.wait(connection, list(watches.values()), waiting, params["slice"] or params["timeout"])
        outcomes = [
            outcome(item, watches[id(item)]) if id(item) in watches else one for item, one in zip(items, outcomes)
        ]
    except ItemError as error:
        outcomes = [_bulk.Outcome(item["name"], error=str(error), fault=error.fault) for item in items]
    _bulk.finish(module, "instances", items, outcomes, pending=ready.progress(watches.values()))


if __name__ == "__main__":
    main()
