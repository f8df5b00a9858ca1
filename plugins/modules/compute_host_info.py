#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out what a machine lacks to be a compute host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compute_host_info
short_description: Find out what a machine lacks to be a compute host
description:
  - Looks at packages, directories, settings of QEMU in libvirt, services and the Python for our modules in one go,
    so that a role
    on a machine that lacks nothing takes a single task.
  - Entries by system are chosen by C(ID) in C(/etc/os-release), or else by C(ID_LIKE).
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
options:
  packages:
    description: Packages by system, for example C(debian) or C(fedora).
    type: dict
    default: {}
  more_packages:
    description: Further packages of the same shape, for example those of a kind of volumes.
    type: list
    elements: dict
    default: []
  services:
    description: Services by system, each a list as M(virtfleet.compute.host_services) takes it.
    type: dict
    default: {}
  directories:
    description: Directories that shall be there.
    type: list
    elements: path
    default: []
  directory_mode:
    description: The mode they shall have, as octal text.
    type: str
    default: "0755"
  settings:
    description: Settings of O(settings_file) and their values, as they stand in the file.
    type: dict
    default: {}
  settings_file:
    description: The configuration file of libvirt's QEMU driver.
    type: path
    default: /etc/libvirt/qemu.conf
  python_modules:
    description: Python modules of the distribution that our modules import.
    type: list
    elements: str
    default: []
  state_dir:
    description: Directory with C(host.json).
    type: path
    default: /var/lib/virtfleet
  virt_type:
    description: What is asked for; decides with C(host.json) whether it must be found out.
    type: str
    choices: [auto, kvm, qemu]
    default: auto
  hooks_dir:
    description: Where libvirt looks for hooks.
    type: path
    default: /etc/libvirt/hooks
  run_dir:
    description: Where the collection keeps locks and what a reboot may take.
    type: path
    default: /run/virtfleet
  python:
    description: The Python that runs the hook.
    type: path
    default: /usr/bin/python3
"""

EXAMPLES = r"""
- name: Find out what is missing
  virtfleet.compute.compute_host_info:
    packages:
      debian: [libvirt-daemon-system]
    directories: [/var/lib/virtfleet]
  register: host
"""

RETURN = r"""
missing:
  description: What the machine lacks.
  returned: success
  type: dict
  contains:
    packages:
      description: Packages that are not installed.
      type: list
      elements: str
      sample: [libvirt-daemon-system]
    directories:
      description: Directories that are not there or have another mode.
      type: list
      elements: str
      sample: [/var/lib/virtfleet]
    settings:
      description: Settings with another value, with the wanted one.
      type: dict
      sample: {}
    hook:
      description: Files of libvirt's hook that are missing or of another version, see M(virtfleet.compute.port_hook).
      type: list
      elements: str
      sample: []
    services:
      description: Services that do not run, as given.
      type: list
      elements: dict
      sample: []
services:
  description: The services of this system, as given.
  returned: success
  type: list
  elements: dict
  sample: []
kvm_closed:
  description: Whether C(/dev/kvm) is there but closed to its group, as where no udev has opened it.
  returned: success
  type: bool
  sample: false
interpreter:
  description: A Python that has all the modules, empty without one. The running one if it has them.
  returned: success
  type: str
  sample: /usr/bin/python3
running_interpreter:
  description: The Python that this module ran with.
  returned: success
  type: str
  sample: /usr/bin/python3
virt_type:
  description: What is already known, empty if it must be found out.
  returned: success
  type: str
  sample: qemu
"""

import sys

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host import memory, services, survey
from ..module_utils._model import os_release
from ..module_utils._model.errors import ItemError
from ..module_utils._network import hook

SPEC = {
    "packages": {"type": "dict", "default": {}},
    "more_packages": {"type": "list", "elements": "dict", "default": []},
    "services": {"type": "dict", "default": {}},
    "directories": {"type": "list", "elements": "path", "default": []},
    "directory_mode": {"type": "str", "default": "0755"},
    "settings": {"type": "dict", "default": {}},
    "settings_file": {"type": "path", "default": "/etc/libvirt/qemu.conf"},
    "python_modules": {"type": "list", "elements": "str", "default": []},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "virt_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
    "hooks_dir": {"type": "path", "default": "/etc/libvirt/hooks"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "python": {"type": "path", "default": "/usr/bin/python3"},
}
HOOK = ("hooks_dir", "state_dir", "run_dir", "python")


def missing(params, release, wanted):
    """Return what the machine lacks, in the shape in which it was asked for."""
    kinds = [params["packages"], *params["more_packages"]]
    packages = [name for kind in kinds for name in survey.of_this_system(kind, release, "packages")]
    return {
        "packages": survey.missing_packages(list(dict.fromkeys(packages))),
        "directories": survey.missing_directories(params["directories"], params["directory_mode"]),
        "settings": survey.missing_settings(survey.read_text(params["settings_file"]), params["settings"]),
        "services": [item for item in wanted if services.wrong(services.service(item))],
        "hook": hook.differing(hook.wanted(**{key: params[key] for key in HOOK})),
    }


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    release = os_release.parse(survey.read_text("/etc/os-release"))
    kept = memory.load(params["state_dir"])
    try:
        wanted = survey.of_this_system(params["services"], release, "services")
        lacks = missing(params, release, wanted)
    except ItemError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        missing=lacks,
        services=wanted,
        kvm_closed=memory.kvm_closed(),
        interpreter=survey.interpreter(params["python_modules"]),
        running_interpreter=sys.executable,
        virt_type=memory.remembered(kept, params["virt_type"], memory.fingerprint()),
    )


if __name__ == "__main__":
    main()
