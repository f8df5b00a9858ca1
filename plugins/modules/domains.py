#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: domains
short_description: Defines and starts the libvirt domains of instances, or takes them away
description:
  - Makes each instance of a list a libvirt domain of this host, in the power state its record wants. The domain is
    Nova's default guest; its metadata hold C(nova:instance) 1.1, which exporters read, and our own record, from which
    everything about the instance can be rebuilt.
  - A guest is started paused, let run only when each of its ports is on its bridge, and is off again when one is not.
    If its domain was new, the domain is gone then too.
  - What exists is compared with our record in its metadata, never with libvirt's XML text. A difference is taken
    V(live), at the V(next boot) (the domain is defined anew, the running guest goes on as it is), or is V(refused)
    because it would destroy data. The diff names which.
  - Network cards that come or go at the end of the list are plugged into and unplugged from a running guest. The port
    of a card that the guest has let go of is taken off the host, too.
  - A guest that was killed, stopped or paused by hand is started or resumed again, unless its C(state) is V(stopped).
  - A domain with the same name or UUID that is not ours is never touched; the instance fails, naming it.
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
    platforms: linux
    support: full
requirements:
  - python3-libvirt
  - python3-lxml
options:
  instances:
    description:
      - The instance records of this host. They must have C(name), C(uuid), C(domain), C(flavor), C(image) and
        C(spec_digest); V(state=absent) looks at C(uuid) only but wants the same record.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) makes each instance exist in the C(state) of its record.
      - V(absent) is the undo. It takes the power from the guest, undefines the domain with its NVRAM and saved state,
        and removes its console log. Disks are those of stage volume.
    type: str
    choices: [present, absent]
    default: present
  virt_type:
    description: Whether guests run on V(kvm) or are emulated by V(qemu).
    type: str
    choices: [kvm, qemu]
    default: kvm
  disk_cache:
    description:
      - libvirt's cache mode of the disks. V(auto) is V(none) where the file system of O(state_dir) has direct I/O, else
        V(writeback), as in Nova.
    type: str
    choices: [auto, none, writeback, writethrough, directsync, unsafe]
    default: auto
  tb_cache_mb:
    description:
      - Size of the translation cache of an emulated guest in MiB. V(0) leaves it to QEMU, which takes up to 1 GiB.
    type: int
    default: 0
  threads:
    description: How many guests are started or stopped at a time. libvirtd takes up to 5 calls of a client at a time.
    type: int
    default: 8
  start_timeout:
    description: Seconds until a guest must run after its start.
    type: float
    default: 30
  stop_timeout:
    description: Seconds that a guest has to shut down before it loses its power.
    type: float
    default: 60
  rules_digest:
    description:
      - Digest of the packet filter rules that must be loaded before a guest with ports may run, as stage port notes it
        in C(ports.rules) below O(run_dir). Without it only the plugging is checked.
    type: str
    default: ""
  vif_plugging_is_fatal:
    description: Whether a guest starts only when each of its taps is on its bridge. There its tap must be in any case.
    type: bool
    default: true
  state_dir:
    description: Where the instances live on the host.
    type: path
    default: /var/lib/virtfleet
  run_dir:
    description: Where the host keeps what a reboot may forget.
    type: path
    default: /run/virtfleet
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
  keys:
    description:
      - Passphrases of encrypted volumes, by the name of a volume or of what its C(key) says. libvirt gets them as
        secrets that it shows nobody and forgets when it ends.
      - By default those of C(virtfleet_volume_keys) that the volumes need, if the records come from C(virtfleet_here).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Start the guests of this host
  virtfleet.compute.domains:
    instances: "{{ instances }}"

- name: See which changes wait for the next boot
  virtfleet.compute.domains:
    instances: "{{ instances }}"
  check_mode: true
  diff: true

- name: Start emulated guests with a small translation cache
  virtfleet.compute.domains:
    instances: "{{ instances }}"
    virt_type: qemu
    tb_cache_mb: 64

- name: Take the guests away
  virtfleet.compute.domains:
    instances: "{{ instances }}"
    state: absent
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
      description: Whether anything was, or in check mode would be, changed.
      type: bool
    failed:
      description: Whether the instance failed; the others are not stopped by it.
      type: bool
    msg:
      description: Why it failed, or empty.
      type: str
      sample: "tap tap5f0c1a2b3c4 of network lan is missing: stage port makes it; the guest was not let run"
    fault:
      description: Who has to act when it failed, V(host) (another host may do) or V(request).
      type: str
    power_state:
      description: Nova's power state, one of V(running), V(paused), V(shutdown), V(crashed), V(suspended), V(nostate).
      type: str
      sample: running
    domain_id:
      description: libvirt's number of the running guest.
      type: int
      sample: 7
    vnc_port:
      description: Port on the loopback address of the host where the guest's screen is.
      type: int
      sample: 5900
    machine:
      description: The machine type that libvirt has chosen and keeps.
      type: str
      sample: pc-i440fx-7.2
    pending_changes:
      description: What the running guest takes at its next boot.
      type: list
      elements: str
      sample: ["flavor.memory_mb: 256 -> 512 (next boot)"]
    domain_at:
      description: The host's clock when this was true; M(virtfleet.compute.ready) counts from here.
      type: float
      sample: 1767225600.5
"""

import contextlib
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _bulk
from ..module_utils._files import instances_locked
from ..module_utils._hypervisor import domains
from ..module_utils._hypervisor.connection import connect
from ..module_utils._hypervisor.host import cache_mode
from ..module_utils._model.domain import plan_absent, plan_present
from ..module_utils._model.errors import ItemError
from ..module_utils._model.instance import Instance
from ..module_utils._xml.domain import Guest
from ..module_utils._xml.read import wanted_shape

OPTIONS = {
    "instances": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "virt_type": {"type": "str", "choices": ["kvm", "qemu"], "default": "kvm"},
    "disk_cache": {
        "type": "str",
        "choices": ["auto", "none", "writeback", "writethrough", "directsync", "unsafe"],
        "default": "auto",
    },
    "tb_cache_mb": {"type": "int", "default": 0},
    "threads": {"type": "int", "default": 8},
    "start_timeout": {"type": "float", "default": 30},
    "stop_timeout": {"type": "float", "default": 60},
    "rules_digest": {"type": "str", "default": ""},
    "vif_plugging_is_fatal": {"type": "bool", "default": True},
    "state_dir": {"type": "path", "default": "/var/lib/virtfleet"},
    "run_dir": {"type": "path", "default": "/run/virtfleet"},
    "uri": {"type": "str", "default": "qemu:///system"},
    "keys": {"type": "dict", "default": {}, "no_log": True},
}


def settings_of(params):
    """Return how this host takes steps."""
    cache = cache_mode(params["disk_cache"], params["state_dir"])
    guest = Guest(params["virt_type"], params["state_dir"], cache=cache, tb_cache_mb=params["tb_cache_mb"])
    keys = ("start_timeout", "stop_timeout", "run_dir", "rules_digest", "vif_plugging_is_fatal", "keys")
    return domains.Settings(guest, **{key: params[key] for key in keys})


def planned(item, world, state, state_dir):
    """Return the plan for one instance."""
    if state == "absent":
        gone = Instance.to_remove(item)
        return plan_absent(gone, world.domains.get(gone.uuid), bool(domains.consoles(gone, state_dir)))
    wanted = Instance.from_record(item)
    found = world.domains.get(wanted.uuid)
    holder = world.holders.get(wanted.domain, "")
    return plan_present(wanted, lambda instance: wanted_shape(instance, state_dir), found, holder)


def outcome(item, plan, domain):
    """Return what became of one instance."""
    facts = {"power_state": None, "domain_id": None, "vnc_port": None, "machine": None}
    facts.update(domain.facts if domain else {})
    facts["pending_changes"] = [one.sentence() for one in plan.pending]
    facts["domain_at"] = round(time.time(), 3)
    return _bulk.Outcome(item["name"], bool(plan.steps), before=plan.before, after=plan.after, facts=facts)


def let_go(params, plans):
    """The ports whose cards running guests have let go of are gone from the host."""
    ids = {step.partition(" ")[2] for plan in plans for step in plan.steps if step.startswith("unplug ")}
    if ids:
        # Rarely needed, and each start of this module would pay for it.
        from ..module_utils._network import saved, unplug
        from ..module_utils._network.host import Host

        host = Host(params["state_dir"], params["run_dir"])
        with saved.lock(host.run_dir):
            unplug.remove(host, [port for key, port in saved.read(host.state_dir).items() if key in ids])


def held(module, items):
    """Hold the locks of the instances, so that what a killed run still does here is over before we look."""
    if module.check_mode:
        return contextlib.nullcontext()
    return instances_locked(module.params["run_dir"], [item.get("uuid") for item in items])


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    items, state = module.params["instances"], module.params["state"]
    problem = _bulk.unique_names([{"name": item.get("domain") or item.get("name")} for item in items])
    if problem:
        module.fail_json(msg=problem)
    settings = settings_of(module.params)
    act, look = {"present": (domains.make, domains.let_run), "absent": (domains.unmake, domains.gone)}[state]
    if module.check_mode:
        act, look = domains.leave, domains.leave
    plans = {}

    def prepare(item):
        plan = plans[item["name"]] = planned(item, world, state, module.params["state_dir"])
        act(connection, plan, settings)
        return _bulk.Outcome(item["name"])

    def complete(item):
        plan = plans[item["name"]]
        return outcome(item, plan, look(connection, plan, settings))

    try:
        with connect(module.params["uri"]) as connection, held(module, items):
            world = domains.read(connection, [item.get("uuid") for item in items])
            outcomes = _bulk.in_turn(items, (prepare, complete), module.params["threads"])
            if not module.check_mode:
                let_go(module.params, [plans[one.name] for one in outcomes if not one.error])
    except ItemError as error:
        outcomes = [_bulk.Outcome(item["name"], error=str(error), fault=error.fault) for item in items]
    _bulk.finish(module, "instances", items, outcomes)


if __name__ == "__main__":
    main()
