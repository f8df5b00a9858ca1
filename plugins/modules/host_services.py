#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the daemons of a compute host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_services
short_description: Run libvirt's daemons, with systemd or without
description:
  - A service runs if it answers on its socket. With systemd its units are enabled and started; without, as in
    containers and
    CI, its command is started. What a package's policy does not let start is started too.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  services:
    description: The services, in the order to start them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the service.
        type: str
        required: true
      socket:
        description: UNIX socket it answers on.
        type: path
        required: true
      units:
        description: Units to enable and start where there is systemd.
        type: list
        elements: str
        default: []
      command:
        description: Program and arguments that start it in the background where there is no systemd.
        type: list
        elements: str
        default: []
      reap:
        description:
          - Whether, where there is no systemd, a small parent process adopts and reaps what the service starts.
            Where PID 1 is no
            init that does so, libvirt otherwise waits a second or two for the end of each guest.
        type: bool
        default: false
  state:
    description: V(restarted) restarts them, so that they read their configuration again; guests go on.
    type: str
    choices: [started, restarted]
    default: started
"""

EXAMPLES = r"""
- name: Run libvirt
  virtfleet.compute.host_services:
    services:
      - name: virtlogd
        socket: /run/libvirt/virtlogd-sock
        units: [virtlogd.socket]
        command: [/usr/sbin/virtlogd, -d]
      - name: libvirtd
        socket: /run/libvirt/libvirt-sock
        units: [libvirtd.socket, libvirtd.service]
        command: [/usr/sbin/libvirtd, -d]
        reap: true
"""

RETURN = r"""
services:
  description: The services in the order asked for.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the service.
      type: str
      sample: libvirtd
    changed:
      description: Whether it was, or in check mode would be, started, restarted or enabled.
      type: bool
      sample: false
    failed:
      description: Whether it does not run.
      type: bool
      sample: false
    msg:
      description: Why it does not run.
      type: str
      sample: ""
"""

import functools

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, each, finish, unique_names
from ..module_utils._host import services

SERVICE = {
    "name": {"type": "str", "required": True},
    "socket": {"type": "path", "required": True},
    "units": {"type": "list", "elements": "str", "default": []},
    "command": {"type": "list", "elements": "str", "default": []},
    "reap": {"type": "bool", "default": False},
}


def ensure(state, check_mode, item):
    """Leave the service running, with the configuration of now if it is to be restarted."""
    service = services.service(item)
    before = services.wrong(service) or "running"
    if before == "running" and state == "started":
        return Outcome(service.name)
    if not check_mode:
        services.start(service) if state == "started" else services.restart(service)
    return Outcome(service.name, True, before={"state": before}, after={"state": state})


def main():
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "required": True, "options": SERVICE},
            "state": {"type": "str", "choices": ["started", "restarted"], "default": "started"},
        },
        supports_check_mode=True,
    )
    wanted = module.params["services"]
    if problem := unique_names(wanted):
        module.fail_json(msg=problem)
    step = functools.partial(ensure, module.params["state"], module.check_mode)
    finish(module, "services", wanted, each(wanted, step))


if __name__ == "__main__":
    main()
