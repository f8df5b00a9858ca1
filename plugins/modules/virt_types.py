#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether guests run with KVM or only emulated."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virt_types
short_description: Find out whether KVM works, by booting a small kernel with it
description:
  - On some machines, such as guests of other clouds, C(/dev/kvm) is there but a guest hangs in it. So the kernel
    of the guest image
    is booted with KVM under a deadline. Only if it says that it runs, KVM works; if it does not, the same kernel must
    run without KVM, so that a broken kernel is not taken for a broken KVM.
  - The finding is kept in C(host.json) of the state directory and used again until the host's kernel, its QEMU or
    the presence of
    C(/dev/kvm) changes.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: In check mode nothing is booted. What is not known yet is returned as V(auto).
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  virt_types:
    description: The hosts on this machine, each with its own state directory; on a real machine that is one.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      virt_type:
        description: V(auto) finds out; V(kvm) and V(qemu) are taken as they are.
        type: str
        choices: [auto, kvm, qemu]
        default: auto
      state_dir:
        description: Directory with C(host.json), and with C(vmlinuz) and C(initrd) in C(guest).
        type: path
        default: /var/lib/virtfleet
      deadline:
        description: Seconds after which a guest counts as hanging.
        type: int
        default: 20
"""

EXAMPLES = r"""
- name: Find out whether KVM works
  virtfleet.compute.virt_types:
    virt_types:
      - name: "{{ inventory_hostname }}"
"""

RETURN = r"""
virt_types:
  description: The hosts in the order asked for.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the host.
      type: str
      sample: kvm1
    changed:
      description: Whether C(host.json) was, or in check mode would be, written.
      type: bool
      sample: false
    failed:
      description: Whether it could not be found out.
      type: bool
      sample: false
    msg:
      description: Why it could not be found out.
      type: str
      sample: ""
    virt_type:
      description: V(kvm) or V(qemu); V(auto) in check mode if it is not known yet.
      type: str
      sample: qemu
    reason:
      description: Why.
      type: str
      sample: "KVM does not work: a guest hangs: nothing on its console after 20 seconds"
    qemu_version:
      description: Version of QEMU it was found out with.
      type: str
      sample: 7.2.22
    probed_at:
      description: When it was found out, in UTC.
      type: str
      sample: "2026-01-01 10:00:00"
"""

import datetime
import functools
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import Outcome, each, finish, unique_names
from ..module_utils._guest.probe import find_virt_type, qemu_version
from ..module_utils._host import memory

HOST = {
    "name": {"type": "str", "required": True},
    "virt_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "deadline": {"type": "int", "default": 20},
}
TOLD = ("virt_type", "reason", "qemu_version", "probed_at")


def find_out(host, now):
    """Return the finding as it is kept."""
    guest = Path(host["state_dir"]) / "guest"
    virt_type, reason = host["virt_type"], "asked for"
    if virt_type == "auto":
        files = (guest / "vmlinuz", guest / "initrd")
        virt_type, reason = find_virt_type(memory.emulator(), memory.KVM, *files, host["deadline"])
    time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    version = qemu_version(memory.emulator())
    found = {"virt_type": virt_type, "reason": reason, "qemu_version": version, "probed_at": time}
    return {**now, "virt_type_wanted": host["virt_type"], **found}


def ensure_known(check_mode, host):
    """Leave the finding in host.json."""
    kept, now = memory.load(host["state_dir"]), memory.fingerprint()
    before = {key: kept.get(key, "") for key in TOLD}
    if memory.remembered(kept, host["virt_type"], now):
        return Outcome(host["name"], facts=before)
    if check_mode:
        after = {"virt_type": host["virt_type"], "reason": "not found out in check mode"}
    else:
        finding = find_out(host, now)
        memory.save(host["state_dir"], finding)
        after = {key: finding[key] for key in TOLD}
    return Outcome(host["name"], True, before=before, after=after, facts=after)


def main():
    module = AnsibleModule(
        argument_spec={"virt_types": {"type": "list", "elements": "dict", "required": True, "options": HOST}},
        supports_check_mode=True,
    )
    hosts = module.params["virt_types"]
    if problem := unique_names(hosts):
        module.fail_json(msg=problem)
    finish(module, "virt_types", hosts, each(hosts, functools.partial(ensure_known, module.check_mode)))


if __name__ == "__main__":
    main()
