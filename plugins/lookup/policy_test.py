# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: policy_test
short_description: Run fleet files, the tests of a placement policy
version_added: 0.1.0
author:
  - The virtfleet.compute authors (@virtfleet)
description:
  - A fleet file has V(given) (policy, hosts, and in V(defaults) what every V(host) and V(request) has), V(when)
    (requests), and rules under V(expect) and V(never). It needs no real host.
  - A rule has one condition and may have V(instance), a pattern of instance names, and V(rule), its name.
  - "Conditions on instances: V(host) (a name, a pattern, several, or null for no host), V(alternates), V(eliminated)
    (host to step), V(weights) (host to weigher to weighted number), V(why) (part of the message), V(would_fit)."
  - "Conditions on the run: V(together) (a pattern: some two of these instances share a host), V(result) (request to
    result), V(prints) (part of a line of the explanation), V(refused) (part of the error)."
options:
  _terms:
    description: Fleet files, or directories with fleet files.
    type: list
    elements: path
    required: true
  policy:
    description: The policy for fleet files that give none, as for P(virtfleet.compute.placement#lookup).
    type: raw
    default: nova
seealso:
  - plugin: virtfleet.compute.placement
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Test the policy of this project
  ansible.builtin.assert:
    that: lookup('virtfleet.compute.policy_test', 'fleets', policy=virtfleet_policy) | rejectattr('green') | length == 0

# fleets/database_apart.yml
# given:
#   defaults:
#     host: {vcpus: 16, vcpus_used: 0, memory_mb: 65536, memory_mb_used: 0, disk_gb: 500, disk_gb_used: 0}
#     request: {vcpus: 4, memory_mb: 8192, disk_gb: 40}
#   hosts:
#     - {name: kvm, count: 3}
# when:
#   - {name: db, num_instances: 3, server_group: {name: db, policy: anti-affinity}}
# expect:
#   - {rule: every database has a host, result: {db: ok}}
# never:
#   - {rule: two databases on one host, together: db-*}
"""

RETURN = r"""
_raw:
  description: One entry per rule of every file.
  type: list
  elements: dict
  contains:
    file:
      description: The fleet file.
      type: str
    rule:
      description: The rule in words.
      type: str
      sample: never two databases on one host
    green:
      description: Whether the rule is kept.
      type: bool
    why:
      description: What is wrong when it is not, else empty.
      type: str
"""

import pathlib

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ..module_utils._model.errors import ItemError
from ..plugin_utils._files import fleet_files, found, load_mapping, load_rules, plain


class LookupModule(LookupBase):
    """Fleet files in, red and green rules out."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        policy = plain(self.get_option("policy"))
        try:
            places = [found(str(term), self._loader.path_dwim(str(term))) for term in terms]
            files = [file for place in places for file in fleet_files(place)]
            return [told for file in files for told in self._check(file, policy)]
        except ItemError as error:
            raise AnsibleError(str(error)) from error

    def _check(self, file, policy):
        from ..plugin_utils._scheduler.fleet import check_fleet

        fleet = load_mapping(file)
        own = (fleet.get("given") or {}).get("policy")
        directory = self._directory(own, file.parent) if own else self._directory(policy, pathlib.Path.cwd())
        try:
            answers = check_fleet(fleet, policy, load_rules(directory))
        except ItemError as error:
            raise ItemError(f"{file}: {error}", fault="request")
        return [{"file": str(file), **answer} for answer in answers]

    def _directory(self, policy, base):
        """Return the directory of own rules: beside the fleet file that names it, else beside the playbook."""
        directory = policy.get("rules_directory") if isinstance(policy, dict) else None
        if not directory:
            return None
        return str(base / directory) if (base / directory).is_dir() else self._loader.path_dwim(directory)
