# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty controllers at once on a nearly full fleet: no cap exceeded, nothing given twice, nobody refused in vain."""

from __future__ import annotations

from collections import Counter

from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import reading
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.schema import (
    ADDRESSES,
    ALLOCATIONS,
    INSTANCES,
    PORTS,
)

from .conftest import Controller, host, inventory

CONTROLLERS, EACH = 20, 50
# Room for all but forty: what is refused is refused because nothing is left.
HOSTS, ROOM = 20, 48


def holdings(url: str) -> dict[str, list]:
    """Return what the registry has given, each name, MAC and address as often as it was given."""
    with reading(url) as connection:
        rows = {table.name: connection.execute(table.select()).all() for table in (INSTANCES, PORTS, ADDRESSES)}
        amounts = connection.execute(ALLOCATIONS.select()).all()
    return {
        "names": [(row.project, row.name) for row in rows["instances"]],
        "states": sorted({row.state for row in rows["instances"]}),
        "macs": [row.mac for row in rows["ports"]],
        "addresses": [row.address for row in rows["addresses"]],
        "vcpus": Counter({row.host: 0 for row in amounts})
        + Counter(row.host for row in amounts if row.resource_class == "VCPU" for dummy in range(row.amount)),
    }


def test_twenty_controllers_on_a_fleet_that_is_95_percent_full(url, tmp_path):
    fleet = [host(f"kvm{number:02}", ROOM, 19 * ROOM) for number in range(1, HOSTS + 1)]
    hosts = inventory(tmp_path, url, fleet)
    running = [Controller(tmp_path, hosts, f"c{number:02}", EACH) for number in range(1, CONTROLLERS + 1)]
    records = [record for controller in running for record in controller.records()]
    held, placed = holdings(url), [one for one in records if not one["failed"]]
    assert held["vcpus"] == {one["name"]: ROOM for one in fleet}
    assert len(placed) == HOSTS * ROOM and held["states"] == ["active"]
    for given in (held["names"], held["macs"], held["addresses"]):
        assert len(given) == len(set(given)) == len(placed)
    assert {("default", one["name"]) for one in placed} == set(held["names"])
    refused = [one for one in records if one["failed"]]
    assert len(refused) == CONTROLLERS * EACH - HOSTS * ROOM
    assert all("vcpu" in one["msg"].lower() for one in refused), refused[0]["msg"]
    retried = [one for one in records if one.get("refusals") or "has room" in one.get("reason", "")]
    print(f"{len(placed)} placed, {len(refused)} refused, {len(retried)} of them placed more than once")
    assert retried, "no two controllers met: this test has shown nothing"
