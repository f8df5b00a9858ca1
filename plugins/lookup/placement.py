# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: placement
short_description: Decide on which host each instance runs, and say why
version_added: 0.1.0
author:
  - The virtfleet.compute authors (@virtfleet)
description:
  - Filters and weighs the hosts for every instance of every request, in the order given, each on what the earlier
    ones took.
  - The rules are those of OpenStack Nova's scheduler and placement, under their names. Where they differ is told in
    the scheduler guide of this collection.
  - The same input gives the same answer, byte for byte. Ties are broken by name. No host is asked anything.
notes:
  - A lookup runs again at each use. Keep the answer with M(ansible.builtin.set_fact).
options:
  _terms:
    description:
      - The requests, as one list of dictionaries.
      - "Keys: V(name), V(vcpus), V(memory_mb), V(disk_gb), V(ephemeral_gb), V(swap_mb), V(flavor_name),
        V(num_instances), V(min_count), V(instance_names), V(instance_uuids), V(project_id), V(extra_specs),
        V(image_properties), V(image_id), V(image_disk_format), V(hints), V(server_group), V(availability_zone),
        V(boot_from_volume), V(ignore_hosts), V(requested_host), V(force_hosts), V(spread), V(preferred_cell),
        V(bridges)."
      - Of a request with V(min_count) either at least so many instances get a host, or none.
    type: list
    elements: dict
    required: true
  hosts:
    description:
      - The host records, as the stage host_info gathers them. Their order does not matter.
      - A record without one of V(vcpus), V(vcpus_used), V(memory_mb), V(memory_mb_used), V(disk_gb), V(disk_gb_used)
        is refused, and so is an unknown key.
    type: list
    elements: dict
    required: true
  policy:
    description:
      - The name of a policy (V(nova), V(spread) or V(pack)) or a dictionary with V(name) and options.
      - Options are named like Nova's, for example V(filters), V(multipliers), V(max_attempts), V(isolated_hosts).
        V(n_plus_one), V(rules), V(rules_directory), V(aliases) and V(flavors) are ours.
      - A relative V(rules_directory) is taken from the directory of the playbook.
    type: raw
    default: nova
seealso:
  - plugin: virtfleet.compute.explain
    plugin_type: filter
  - plugin: virtfleet.compute.replay
    plugin_type: lookup
  - plugin: virtfleet.compute.policy_test
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Decide once and keep the answer
  ansible.builtin.set_fact:
    decision: "{{ lookup('virtfleet.compute.placement', requests, hosts=host_records) }}"
  vars:
    requests:
      - {name: web, vcpus: 2, memory_mb: 4096, disk_gb: 20, num_instances: 3}

- name: Pack, keep a group apart, and leave out two filters
  ansible.builtin.set_fact:
    decision: "{{ lookup('virtfleet.compute.placement', requests, hosts=host_records, policy=policy) }}"
  vars:
    policy:
      name: pack
      filters: [ComputeFilter, ServerGroupAntiAffinityFilter, NUMATopologyFilter]
    requests:
      - name: db
        vcpus: 4
        memory_mb: 8192
        disk_gb: 40
        num_instances: 2
        min_count: 2
        server_group: {name: db, policy: anti-affinity}

- name: Add a rule of one's own
  ansible.builtin.set_fact:
    decision: "{{ lookup('virtfleet.compute.placement', requests, hosts=host_records, policy=policy) }}"
  vars:
    policy:
      rules:
        filters:
          not_the_old_ones: "host.labels.generation | int >= 3 or request.project_id == 'lab'"

- name: Print it for people
  ansible.builtin.debug:
    msg: "{{ decision | virtfleet.compute.explain }}"

- name: Save it, to be replayed
  ansible.builtin.copy:
    content: "{{ decision | to_json }}"
    dest: decision.json
    mode: "0600"
"""

RETURN = r"""
_raw:
  description: One decision record.
  type: list
  elements: dict
  contains:
    version:
      description: Version of the record's form.
      type: int
      sample: 1
    policy:
      description: The policy with all its options.
      type: dict
    own_rules:
      description: The rules of V(rules_directory), each with the digest of its text.
      type: dict
    weighers:
      description: The weighers in the order in which they are added up.
      type: list
      elements: str
    hosts:
      description: The names of all hosts, sorted. Everything else names a host by its position here.
      type: list
      elements: str
    warnings:
      description: What is allowed but hardly meant, such as an availability zone that no host is in.
      type: list
      elements: str
    requests:
      description: One entry per request, in the order given.
      type: list
      elements: dict
      contains:
        name:
          description: The request.
          type: str
        result:
          description: V(ok) when all instances have a host, V(partial) when some have, V(NoValidHost) when none has.
          type: str
        placed:
          description: How many instances have a host.
          type: int
        steps:
          description: Every step, with the hosts that fell there and the value and limit that made them fall.
          type: list
          elements: dict
        weighers:
          description: The raw numbers and multipliers of every weigher.
          type: dict
        instances:
          description: One entry per instance.
          type: list
          elements: dict
          contains:
            name:
              description: The instance.
              type: str
            uuid:
              description: Its UUID, when the request gave one.
              type: str
            host:
              description: The host, null when there is none.
              type: str
            message:
              description: Why there is no host, and the way out. Null when there is one.
              type: str
            alternates:
              description: The hosts to try next if the build fails there.
              type: list
              elements: str
            weight:
              description: The weight of the host.
              type: float
            ties:
              description: The hosts that had this weight. The first by name was taken.
              type: list
              elements: int
            left:
              description: How many hosts were left after each step.
              type: list
              elements: int
            scale:
              description: From where to where each weigher's numbers reached among the hosts that were left.
              type: dict
        advice:
          description: When an instance has no host, the nearest misses and what would fit.
          type: dict
    digests:
      description: SHA-256 of the input and of the decision.
      type: dict
    input:
      description: Requests, hosts and policy as they were given, which is what a replay decides on.
      type: dict
"""

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ..module_utils._model.errors import ItemError
from ..plugin_utils._files import load_rules, plain


class LookupModule(LookupBase):
    """Options in, decision record out."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        from ..plugin_utils._scheduler.decide import decide
        from ..plugin_utils._scheduler.replay import seal

        requests = [request for term in terms for request in (term if isinstance(term, (list, tuple)) else [term])]
        policy = plain(self.get_option("policy"))
        directory = policy.get("rules_directory") if isinstance(policy, dict) else None
        try:
            functions = load_rules(directory and self._loader.path_dwim(directory))
            return [seal(decide(plain(requests), plain(self.get_option("hosts")), policy, functions))]
        except ItemError as error:
            raise AnsibleError(str(error)) from error
