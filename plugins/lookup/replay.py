# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: replay
short_description: Decide saved decision records again and compare
version_added: 0.1.0
author:
  - The virtfleet.compute authors (@virtfleet)
description:
  - Takes the input from a decision record that was saved, decides on it, and compares the answer with the saved one.
  - What a change of the collection or of one's own rules would have decided otherwise is found this way.
options:
  _terms:
    description: Files with a decision record each, as JSON or YAML.
    type: list
    elements: path
    required: true
  rules_directory:
    description: Where one's own rules are, when they are no longer where the record's policy says.
    type: path
seealso:
  - plugin: virtfleet.compute.placement
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Decide again
  ansible.builtin.debug:
    msg: "{{ lookup('virtfleet.compute.replay', 'decision.json').difference | default('IDENTICAL', true) }}"
"""

RETURN = r"""
_raw:
  description: One entry per file.
  type: list
  elements: dict
  contains:
    record:
      description: The file.
      type: str
    identical:
      description: Whether the same was decided.
      type: bool
    difference:
      description: The first step that differs, with what it was and what it is now. Null when nothing differs.
      type: str
      sample: "request web: step MEMORY_MB capacity: 12 hosts left then, 11 now"
"""

import pathlib

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ..module_utils._model.errors import ItemError
from ..plugin_utils._files import found, load_mapping, load_rules


class LookupModule(LookupBase):
    """Files in, comparisons out."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [self._replay(str(term)) for term in terms]
        except ItemError as error:
            raise AnsibleError(str(error)) from error

    def _replay(self, file):
        from ..plugin_utils._scheduler.replay import replay

        saved = load_mapping(pathlib.Path(found(file, self._loader.path_dwim(file))))
        policy = (saved.get("input") or {}).get("policy")
        directory = policy.get("rules_directory") if isinstance(policy, dict) else None
        directory = self.get_option("rules_directory") or (directory and self._loader.path_dwim(directory))
        return {"record": file, **replay(saved, load_rules(directory))}
