# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each instance runs once, in the cell whose registry has it; no address is given twice; a group is in one cell."""

import json

import pytest

READ = (
    "import json, sqlite3; c = sqlite3.connect('/var/lib/virtfleet/registry/%s.db'); "
    "print(json.dumps([c.execute('select name, host, state from instances order by name').fetchall(), "
    "c.execute('select address from addresses').fetchall()]))"
)
CELLS = {"kvm1": "east", "kvm2": "east", "kvm3": "west"}


def registry(host, name):
    """Return the instances and addresses of a registry on this host."""
    return json.loads(host.check_output("python3 -c %s", READ % name))


def name_of(host):
    """Return the name of the host in the inventory."""
    return host.backend.get_pytest_id().rpartition("/")[2]


def test_the_registry_of_a_cell_has_what_runs_on_its_hosts(host):
    if name_of(host) == "kvm2":
        pytest.skip("it is the second host of its cell")
    instances, _addresses = registry(host, f"cell-{CELLS[name_of(host)]}")
    here = {name for name, where, _state in instances if where == name_of(host)}
    assert here == set(host.check_output("virsh -q list --name").split())
    assert {state for _name, _where, state in instances} == {"active"}
    assert {CELLS[where] for _name, where, _state in instances} == {CELLS[name_of(host)]}


def test_the_top_registry_has_each_once_with_its_cell(host):
    if name_of(host) != "kvm1":
        pytest.skip("the top registry is on kvm1")
    instances, addresses = registry(host, "registry")
    cells = {name: cell for name, cell, _state in instances}
    assert sorted(cells) == ["db-1", "db-2", "more", "pin", "web-1", "web-2", "web-3"]
    assert cells["pin"] == "west" and cells["db-1"] == cells["db-2"] == "east" and cells["more"] == "east"
    assert len({address for (address,) in addresses}) == len(addresses) == 7
