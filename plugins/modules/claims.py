#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claim, settle and release instances in the registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: claims
short_description: Claim, settle and release instances in the registry
description:
  - Gives each instance its place in the fleet, in one transaction, so that no host is promised beyond what it may be,
    no name, MAC or address is given twice and no quota is exceeded, however many controllers run at the same moment.
  - An instance for which a rule does not hold fails and says why; the others have their claims all the same.
  - An instance that the registry has already stays on its host, whatever host is asked for, and keeps its addresses.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - virtfleet.compute.registry
attributes:
  action:
    description: Whether a part of it runs on the controller.
    support: full
    details:
      - The controller looks which of the runs that hold a claim were its own and are over.
      - Without O(run) the task is a stage of a playbook. It takes the run and the records from C(virtfleet_run), where
        the stage before left them, and is to register C(virtfleet_run) for the next.
  check_mode:
    support: full
    details: All rules are checked in a transaction that is rolled back; a registry that is not there is not made.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  instances:
    description:
      - Instance records as they flow through the stages of a boot.
      - V(present) needs C(name), C(uuid), C(host), C(flavor) and C(spec_digest), and takes C(project), C(domain),
        C(ports), C(server_group), C(resources), C(alternates), which are the hosts to claim on if C(host) has no room,
        and C(tried), which are those that failed to build it in this run, each with C(host) and C(msg).
      - C(todo) of an instance whose claim does not change is written into the log of actions if it is C(start), C(stop)
        or C(update).
      - All others need C(name) and C(uuid).
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) claims. An instance that O(run) has claimed and not settled is moved when its C(host) is another, or
        is among C(tried); it keeps its addresses, and counts as a failed build of the host it was on.
      - V(renewed) gives the claims of O(run) that are not settled another O(lease).
      - V(active) settles. The claims of O(run) become active; that of an instance with C(failed=true) is released,
        or put back to what it was before this run changed it, unless its record says C(undone=false). Such an instance
        stays failed, with its own C(msg).
      - V(absent) releases everything an instance holds. The log of what was done to it stays.
    type: str
    choices: [present, renewed, active, absent]
    default: present
  run:
    description: What this run is called. A claim belongs to the run that made it until it is settled.
    type: str
    required: true
  lease:
    description:
      - Seconds for which a claim belongs to O(run) alone. After that another run takes over what a dead run left.
      - Claiming again renews the lease, and so does O(state=renewed).
    type: int
    default: 900
  takeover:
    description:
      - Runs that are known to be dead, so that their claims may be taken over at once; V(all) for any run.
      - Runs that this controller carried out and that are over, killed or not, need not be named if
        P(virtfleet.compute.run_id#lookup) gave them their names.
    type: list
    elements: str
    default: []
  hosts:
    description:
      - Host records that were gathered in this run. They are remembered, but for those with C(up=false).
      - An instance on a host with C(up=false) is left alone, whatever O(state) is asked for. So is, with
        O(state=present), one on a host that is left out, unless all are; then the hosts are as remembered.
      - Read are C(name), C(vcpus), C(memory_mb) and C(disk_gb), each also with C(_used), promised to all its domains;
        C(cpu_allocation_ratio), C(ram_allocation_ratio) and C(disk_allocation_ratio); C(reserved_vcpus),
        C(reserved_memory_mb) and C(reserved_disk_gb); C(inventory); and C(instances), with C(uuid), C(name), C(vcpus),
        C(memory_mb) and C(disk_gb) of each domain.
    type: list
    elements: dict
    default: []
  projects:
    description:
      - Projects by name, each with a C(quota) of C(instances), C(cores) and C(memory_mb).
      - What is not said is Nova's default of 10, 20 and 51200; -1 is no limit.
    type: dict
    default: {}
  group_members:
    description:
      - By host the security groups that rules of its ports name, each with the digest of the members that the host
        knows, as M(virtfleet.compute.host_info) tells in C(extra.group_members). See RV(group_members).
    type: dict
    default: {}
  leaving:
    description: UUIDs of instances that are about to be deleted; they count as members of no security group.
    type: list
    elements: str
    default: []
  who:
    description: On whose behalf, for the log of actions.
    type: str
    default: ''
  why:
    description: For what reason, for the log of actions.
    type: str
    default: ''
seealso:
  - module: virtfleet.compute.registry_info
"""

EXAMPLES = r"""
- name: Claim what the scheduler has placed
  virtfleet.compute.claims:
    instances: "{{ placed }}"
    hosts: "{{ gathered }}"
    run: "{{ run_id }}"
  delegate_to: kvm1

- name: Settle what became of it
  virtfleet.compute.claims:
    instances: "{{ booted }}"
    state: active
    run: "{{ run_id }}"
  delegate_to: kvm1

- name: Release what was deleted, in a registry in PostgreSQL
  virtfleet.compute.claims:
    registry_url: postgresql://virtfleet@db.example.com/virtfleet
    instances: "{{ deleted }}"
    state: absent
    run: "{{ run_id }}"
    who: ops
    why: ticket 4711
"""

RETURN = r"""
instances:
  description: The instances as given, in the same order, with what the registry says of them.
  returned: when the registry could be used
  type: list
  elements: dict
  contains:
    name:
      description: The name as given.
      type: str
      sample: web-1
    changed:
      description: Whether the registry was changed for this instance.
      type: bool
      sample: true
    failed:
      description: Whether the instance has no claim; with O(state=active) also whether it came here as failed.
      type: bool
      sample: false
    msg:
      description: Why it failed.
      type: str
      sample: ''
    fault:
      description: V(host) when another host might take it, V(request) when none will.
      type: str
      returned: when failed
      sample: host
    host:
      description: The host it is on, which for an instance the registry had already may differ from the one asked for.
      type: str
      sample: kvm1
    claim_state:
      description:
        - V(claimed) until it is settled, V(active) after it, V(changing) for an active one whose specification changed.
        - Empty when nothing is claimed any more.
      type: str
      sample: claimed
    created_at:
      description: When it was first claimed, in UTC.
      type: str
      sample: '2026-01-01 10:00:00'
    existing:
      description: That the registry had it as active before this run, so that nothing of it may be undone.
      type: bool
      returned: with O(state=present) for such an instance
    adopted:
      description: That another run had claimed it and is gone, so that something of it may be on its host.
      type: bool
      returned: with O(state=present) for such an instance
    held_by:
      description: The run that is at work on it, or died at it.
      type: str
      returned: with O(state=present) for an instance that was refused for this
    waits:
      description:
        - The uuids of those that give up in this very transaction a floating address which it is to have. It has no
          claim yet, and is to be claimed when their hosts have changed them and they were settled. Empty after that.
      type: list
      elements: str
      returned: with O(state=present) for such an instance
      sample: []
    alternates:
      description: The hosts that are left to try.
      type: list
      elements: str
      returned: when O(state=present) claimed it on an alternate
      sample: [kvm4]
    reason:
      description: Why it is not on the host that was asked for.
      type: str
      returned: when O(state=present) claimed it on an alternate
      sample: 'kvm1 has no room: VCPU needs 2, 0 of 32 is free; its alternate kvm3 has room'
    generation:
      description: How often the promises of its host have changed.
      type: int
      sample: 7
    ports:
      description: Its ports, each with C(addresses).
      type: list
      elements: dict
      sample: [{id: 0b9f, network: lan, addresses: [{address: 192.0.2.20, prefix: 24, gateway: 192.0.2.1}]}]
    released:
      description: Whether the claim of a failed instance was released.
      type: bool
      returned: with O(state=active) for a failed instance
      sample: true
group_members:
  description:
    - By host the C(members) that M(virtfleet.compute.ports) is to be given there, for the security groups that rules of
      its ports name. Hosts that know them are left out.
  returned: when a host is to be told
  type: dict
  sample: {kvm1: {serial: 412, groups: {default/bastion/lan: [10.0.0.20/32]}}}
hosts:
  description:
    - Records of the O(hosts) that answered, or of all, with the promises of now, for placing again what was refused;
      the claim that such an instance still has on a host that failed it is counted and not listed.
  returned: when an instance was refused by its host
  type: list
  elements: dict
  sample: [{name: kvm1, vcpus: 8, vcpus_used: 32, memory_mb: 16384, memory_mb_used: 8192}]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bulk import finish, merge, unique_names
from ..module_utils._model.errors import ItemError
from ..module_utils._registry import claims, members, report, settle
from ..module_utils._registry.connection import writing
from ..module_utils._registry.ledger import Terms

ARGUMENTS = {
    "instances": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "renewed", "active", "absent"], "default": "present"},
    "run": {"type": "str", "required": True},
    "lease": {"type": "int", "default": 900},
    "takeover": {"type": "list", "elements": "str", "default": []},
    "hosts": {"type": "list", "elements": "dict", "default": []},
    "projects": {"type": "dict", "default": {}},
    "group_members": {"type": "dict", "default": {}},
    "leaving": {"type": "list", "elements": "str", "default": []},
    "who": {"type": "str", "default": ""},
    "why": {"type": "str", "default": ""},
    # A URL may carry a password.
    "registry_url": {"type": "str", "default": "sqlite:////var/lib/virtfleet/registry/registry.db", "no_log": True},
    "timeout": {"type": "int", "default": 60},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked, instances = module.params, module.params["instances"]
    problem = unique_names([{"name": f"{one.get('project') or 'default'}/{one.get('name')}"} for one in instances])
    if problem:
        module.fail_json(msg=problem)
    try:
        with writing(asked["registry_url"], asked["timeout"], rehearse=module.check_mode) as connection:
            outcomes, hosts = carry_out(connection, asked, terms(asked))
            plugged = merge(instances, outcomes) if asked["state"] == "present" else []
            groups = members.told(connection, plugged, asked["group_members"], asked["leaving"])
    except ItemError as error:
        module.fail_json(msg=str(error))
    more = {"hosts": hosts, "group_members": groups}
    finish(module, "instances", instances, outcomes, **{key: value for key, value in more.items() if value})


def terms(asked):
    """Return in whose name and under which rules the transaction is made."""
    return Terms(
        run=asked["run"],
        lease=asked["lease"],
        quotas={name: (project or {}).get("quota") or {} for name, project in asked["projects"].items()},
        takeover=frozenset(asked["takeover"]),
        who=asked["who"],
        why=asked["why"],
    )


def carry_out(connection, asked, given):
    """Return what became of each instance, and the hosts as they are now if one of them refused."""
    if asked["state"] == "renewed":
        return settle.renew(connection, asked["instances"], given), []
    if asked["state"] == "active":
        return settle.settle(connection, asked["instances"], given), []
    if asked["state"] == "absent":
        return settle.release(connection, asked["instances"], given, asked["hosts"]), []
    outcomes = claims.claim(connection, asked["instances"], asked["hosts"], given)
    told = zip(asked["instances"], outcomes)
    refused = {one["uuid"] for one, outcome in told if outcome.error and outcome.fault == "host"}
    if not refused:
        return outcomes, []
    answered = [one["name"] for one in asked["hosts"] if one.get("up") is not False]
    return outcomes, report.records(connection, answered if asked["hosts"] else None, without=refused)


if __name__ == "__main__":
    main()
