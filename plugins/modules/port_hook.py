#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_hook
short_description: Install the libvirt hook that plugs saved ports before a guest starts
description:
  - After a reboot of the host there are no taps, and libvirt starts no guest without them. The hook plugs the saved
    ports of a guest, rules first, when libvirt is about to start it, so that autostart and C(virsh start) work.
  - If a port cannot be plugged, the guest does not start. It never runs unfiltered.
  - libvirt looks into C(qemu.d) from version 6.5 on, and looks for hooks only when its daemon starts. See
    RV(restart_needed).
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.directories
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: linux
    support: full
options:
  state:
    description:
      - Whether the hook should be there.
    type: str
    choices: [present, absent]
    default: present
  hooks_dir:
    description:
      - Where libvirt looks for hooks.
    type: path
    default: /etc/libvirt/hooks
  python:
    description:
      - The Python that plugs what is missing. It needs only the standard library.
    type: path
    default: /usr/bin/python3
seealso:
  - module: virtfleet.compute.ports
"""

EXAMPLES = r"""
- name: Plug saved ports before a guest starts
  virtfleet.compute.port_hook:
  register: result

- name: Let libvirtd find its first hook
  ansible.builtin.service:
    name: libvirtd
    state: restarted
  when: result.restart_needed
"""

RETURN = r"""
script:
  description: The hook that libvirt calls.
  type: str
  returned: success
  sample: /etc/libvirt/hooks/qemu.d/virtfleet
restart_needed:
  description: Whether this is the first QEMU hook of the host, which libvirtd finds only when it is restarted.
  type: bool
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._model.errors import ItemError
from ..module_utils._network import hook


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "hooks_dir": {"type": "path", "default": "/etc/libvirt/hooks"},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
            "run_dir": {"type": "path", "default": "/run/virtfleet"},
        },
        supports_check_mode=True,
    )
    present = module.params["state"] == "present"
    places = {key: module.params[key] for key in ("hooks_dir", "state_dir", "run_dir", "python")}
    try:
        files = hook.wanted(**places)
        different = hook.differing(files) if present else hook.existing(files)
        restart = present and bool(different) and not hook.known_to_libvirt(places["hooks_dir"])
        if not module.check_mode:
            (hook.install if present else hook.remove)(files)
    except ItemError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(different),
        script=hook.script_path(places["hooks_dir"]),
        restart_needed=restart,
        diff={"before": {"files": [] if present else different}, "after": {"files": different if present else []}},
    )


if __name__ == "__main__":
    main()
