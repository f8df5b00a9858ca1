# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose a cell for each instance."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cells
short_description: Choose a cell for each instance
description:
  - Gives each instance the cell whose hosts that pass all filters have room for the most instances like it, level by
    level where cells are inside others. P(virtfleet.compute.placement#lookup) then chooses among the hosts of the cell.
  - A server group stays in one cell. The spec may name one.
  - It asks nobody. The same input always gives the same answer.
options:
  _terms:
    description: Requests, as P(virtfleet.compute.placement#lookup) takes them.
    type: list
    elements: dict
  cells:
    description: The names of the hosts of each cell.
    type: dict
    required: true
  hosts:
    description: Host records of all cells.
    type: list
    elements: dict
    required: true
  policy:
    description: As of P(virtfleet.compute.placement#lookup).
    type: raw
    default: nova
  wishes:
    description: By UUID of the instance the cell that its spec names.
    type: dict
    default: {}
  there:
    description: By UUID of the instance the cell that has it.
    type: dict
    default: {}
  dead:
    description: Cells whose registry cannot be reached, with the reason.
    type: dict
    default: {}
author:
  - The virtfleet.compute authors (@virtfleet)
"""

EXAMPLES = r"""
- name: Choose cells
  ansible.builtin.set_fact:
    choice: "{{ lookup('virtfleet.compute.cells', requests, hosts=host_records, cells=cells) }}"
  vars:
    cells: {east: [kvm1, kvm2], west: [kvm3]}
"""

RETURN = r"""
_raw:
  description: One answer.
  type: list
  elements: dict
  contains:
    instances:
      description: By UUID the C(cell), null if there is none, the C(reason) in words, and the C(levels) with what was
        seen of each cell there.
      type: dict
    capacity:
      description: By cell what is left of VCPU, MEMORY_MB and DISK_GB on all its hosts together.
      type: dict
"""

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ..module_utils._model.errors import ItemError
from ..plugin_utils._files import load_rules, plain


class LookupModule(LookupBase):
    """Options in, choice out."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        from ..plugin_utils._scheduler.cell_tree import layout
        from ..plugin_utils._scheduler.cells import choose

        requests = [request for term in terms for request in (term if isinstance(term, (list, tuple)) else [term])]
        given = {name: plain(self.get_option(name)) for name in ("hosts", "policy", "wishes", "there", "dead", "cells")}
        directory = given["policy"].get("rules_directory") if isinstance(given["policy"], dict) else None
        try:
            functions = load_rules(directory and self._loader.path_dwim(directory))
            cells = layout(given.pop("cells"), [one["name"] for one in given["hosts"]])
            return [choose(plain(requests), given.pop("hosts"), cells, functions=functions, **given)]
        except ItemError as error:
            raise AnsibleError(str(error)) from error
