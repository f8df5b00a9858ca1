#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ports_info
short_description: Tell which ports stand on a host and what is stray
description:
  - Returns the saved ports of a host, whether their rules stand as loaded, and what carries our mark and belongs to
    nothing.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.directories
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: linux
    support: full
options:
  known_ports:
    description:
      - Ids of the ports that should be on this host, for example from the registry.
      - Without it no saved port counts as stray.
    type: list
    elements: str
seealso:
  - module: virtfleet.compute.ports
"""

EXAMPLES = r"""
- name: Look at the ports of this host
  virtfleet.compute.ports_info:
  register: result

- name: Find what belongs to no instance
  virtfleet.compute.ports_info:
    known_ports: "{{ instances | map(attribute='ports') | flatten | map(attribute='id') }}"
  register: result
"""

RETURN = r"""
ports:
  description: The saved ports, by id.
  type: list
  elements: dict
  returned: success
  sample: [{id: 5f0c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a5b, instance: web-1, tap: tap5f0c1a2b3c4, bridge: virtfleet0}]
rules_stand:
  description: Whether the rules are loaded as the saved ports want them, and nobody changed them since.
  type: bool
  returned: success
stray:
  description: What should not be there.
  type: dict
  returned: success
  contains:
    ports:
      description: Ids of saved ports that are not among O(known_ports).
      type: list
      elements: str
    taps:
      description: Taps of ours without a saved port.
      type: list
      elements: str
    missing:
      description: Taps of saved ports that are not on the host.
      type: list
      elements: str
    switched:
      description: Ports of Open vSwitch with our mark and without a saved port.
      type: list
      elements: str
      returned: when there are any
    bridges:
      description: Bridges of ours that no saved port uses at the moment.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._model.errors import ItemError
from ..module_utils._network.host import Host, read
from ..module_utils._network.port import to_dict
from ..module_utils._network.stray import stray


def main():
    module = AnsibleModule(
        argument_spec={
            "known_ports": {"type": "list", "elements": "str"},
            "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
            "run_dir": {"type": "path", "default": "/run/virtfleet"},
        },
        supports_check_mode=True,
    )
    try:
        world = read(Host(module.params["state_dir"], module.params["run_dir"]))
    except ItemError as error:
        module.fail_json(msg=str(error))
    ports = [to_dict(world.saved[port_id]) for port_id in sorted(world.saved)]
    module.exit_json(
        changed=False,
        ports=ports,
        rules_stand=bool(world.rules) or not ports,
        stray=stray(world, module.params["known_ports"]),
    )


if __name__ == "__main__":
    main()
