#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take away what an audit found to be stray."""

from __future__ import annotations

DOCUMENTATION = r"""
module: traces
short_description: Take away what an audit found to be stray on a host
description:
  - Removes what P(virtfleet.compute.audit#filter) found to belong to nothing. Each thing is looked at again before it
    goes, under the lock of whoever makes such things. What is not ours, belongs to a domain that is here, is open in a
    process, was touched within O(grace), or runs, stays and says why.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.directories
  - virtfleet.compute.stores
  - virtfleet.compute.copies_directories
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  traces:
    description:
      - What is to go, as M(virtfleet.compute.traces_info) tells it, with C(kind), C(name), C(owner) and C(remedy).
      - C(kind=domain) with the UUID of an instance as C(owner) is a domain of ours that is off.
    type: list
    elements: dict
    required: true
  state:
    description: What is wanted of them.
    type: str
    choices: [absent]
    default: absent
  grace:
    description: How many seconds ago something must have been touched last to be removed.
    type: int
    default: 3600
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
seealso:
  - module: virtfleet.compute.traces_info
"""

EXAMPLES = r"""
- name: Take away what is stray
  virtfleet.compute.traces:
    traces: "{{ stray }}"
    grace: 3600
"""

RETURN = r"""
traces:
  description: The things as given, in the same order.
  returned: when libvirtd answered
  type: list
  elements: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: tap5f0c1a2b3c4
    changed:
      description: Whether it was removed, or would be.
      type: bool
      sample: true
    failed:
      description: Whether it stays.
      type: bool
      sample: false
    msg:
      description: Why it stays.
      type: str
      sample: ''
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import attempt, finish
from ..module_utils._hypervisor.connection import connect
from ..module_utils._hypervisor.traces import place
from ..module_utils._model.errors import ItemError
from ..module_utils._traces import ordered, sweep

OPTIONS = {
    "traces": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    "grace": {"type": "int", "default": 3600},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "stores": {"type": "list", "elements": "dict", "default": []},
    "snapshots_directory": {"type": "path", "default": "/var/lib/virtfleet/snapshots"},
    "backups_directory": {"type": "path", "default": "/var/lib/virtfleet/backups"},
    "uri": {"type": "str", "default": "qemu:///system"},
}


def taken_away(module, connection):
    """Return what became of each trace, in the order given; what another still uses goes after it."""
    params, asked = module.params, module.params["traces"]
    outcomes, gone = {}, set()
    for position in ordered(asked):
        copies = (params["snapshots_directory"], params["backups_directory"])
        now = place(connection, params["state_dir"], params["run_dir"], params["stores"], (), copies)
        step = partial(sweep, now, grace=params["grace"], rehearse=module.check_mode, going=gone)
        one = attempt(asked[position], step)
        outcomes[position] = one
        if one.changed and asked[position]["kind"] == "domain":
            gone.add(asked[position]["owner"])
    return [outcomes[position] for position in range(len(asked))]


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        with connect(module.params["uri"]) as connection:
            outcomes = taken_away(module, connection)
    except ItemError as error:
        module.fail_json(msg=str(error))
    finish(module, "traces", module.params["traces"], outcomes)


if __name__ == "__main__":
    main()
