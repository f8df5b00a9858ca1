# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a group: by project, wherever in the fleet, but never somebody else with the same address."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.module_utils._model.membership import digest, keys, members


def port(network="lan", address="10.0.0.1", groups=("web",), cidr="10.0.0.0/24", **more):
    return {
        "network": network,
        "addresses": [{"address": address}],
        "subnets": [{"cidr": cidr}],
        "security_groups": [{"name": name, "rules": []} for name in groups],
        **more,
    }


def test_the_keys_of_a_port_are_what_its_rules_name():
    one = port()
    one["security_groups"][0]["rules"] = [{"remote_group": "db"}, {"remote_group": ""}, {"remote": "10.0.0.0/8"}]
    assert keys([one], "shop") == {"shop/db/lan"}


def test_members_are_those_of_the_project():
    found = members(
        ["shop/web/lan"], [("shop", port()), ("other", port(address="10.0.0.2")), ("shop", port(groups=()))]
    )
    assert found == {"shop/web/lan": ["10.0.0.1/32"]}


def test_an_address_of_another_network_counts_unless_the_own_one_has_it():
    here, routed = port(address="10.0.0.1"), port("other", "10.1.0.1", cidr="10.1.0.0/24")
    twin = port("twin", "10.0.0.2")
    found = members(["p/web/lan", "p/web/twin"], [("p", one) for one in (here, routed, twin)])
    assert found == {"p/web/lan": ["10.0.0.1/32", "10.1.0.1/32"], "p/web/twin": ["10.0.0.2/32", "10.1.0.1/32"]}


def test_address_pairs_are_of_the_member_too():
    pair = {"ip_address": "10.0.0.64/26", "mac_address": ""}
    assert members(["p/web/lan"], [("p", port(allowed_address_pairs=[pair]))]) == {
        "p/web/lan": ["10.0.0.1/32", "10.0.0.64/26"]
    }


def test_the_order_makes_no_difference():
    assert digest(["a", "b"]) == digest(["b", "a"]) != digest(["a"])
