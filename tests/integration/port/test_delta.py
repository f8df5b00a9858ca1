# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules changed in place are what the same rules loaded at once are: the kernel's own listing is compared."""

from __future__ import annotations

import random

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._network import delta, load, members, nft, saved
from ansible_collections.virtfleet.compute.plugins.module_utils._network.host import rules_of

GROUPS = {
    "web": [{"protocol": "tcp", "ports": "443"}, {"remote_group": "web"}, {"direction": "egress"}],
    "db": [{"protocol": "tcp", "ports": "5432", "remote_group": "web"}],
    "v6": [{"protocol": "icmpv6", "icmp_type": 128, "ethertype": "IPv6"}, {"remote": "2001:db8::/64"}],
    "shut": [],
}
KINDS = [
    {"security_groups": ["web"]},
    {"security_groups": ["db"]},
    {"security_groups": ["web", "v6"]},
    {"security_groups": ["shut"]},
    {"security_groups": ["web"], "mac": "52:54:00:0a:0b:0c"},
    {"port_security": False},
    {"security_groups": ["db"], "allowed_address_pairs": [{"ip_address": "172.29.0.200"}, {"ip_address": "fd00::1"}]},
    {"addresses": []},
]


def made(record, number, kind):
    groups = [{"name": name, "rules": GROUPS[name]} for name in kind.get("security_groups", [])]
    return record(number, **{**kind, **({"security_groups": groups} if "security_groups" in kind else {})})


def told(chance, serial):
    some = {f"172.29.0.{chance.randrange(10, 40)}/32" for _count in range(chance.randrange(6))}
    return {"serial": serial, "groups": {"default/web/lan": sorted(some | {"10.0.0.0/8"} | {"2001:db8::5/128"})}}


@pytest.mark.parametrize("seed", range(4))
def test_changed_in_place_is_as_loaded_at_once(node, record, monkeypatch, seed):
    """Ports come, go and change at random, and so do members of groups; all but the first change is made in place."""
    chance, whole = random.Random(seed), []
    monkeypatch.setattr(load, "rules_of", lambda *given: whole.append(1) or rules_of(*given))
    node.plug(*(made(record, number, KINDS[number % 4]) for number in range(3)), **told(chance, 1))
    assert len(whole) == 1
    standing = {0, 1, 2}
    for serial in range(2, 14):
        number = chance.randrange(3, 8)
        if number in standing and chance.random() < 0.5:
            outcomes = node.unplug(record(number))
            standing.discard(number)
        else:
            outcomes = node.plug(made(record, number, chance.choice(KINDS)), **told(chance, serial))
            standing.add(number)
        assert [one.error for one in outcomes] == [""]
        rules = rules_of(saved.read(node.host.state_dir).values(), members.read(node.host.state_dir))
        assert nft.blocks(nft.listing()) == nft.blocks(nft.meant(rules))
        assert node.world().rules == nft.generation()
    assert len(whole) == 1, "the others were changes"
    node.unplug(*(record(number) for number in standing))
    assert nft.listing() == ""


def test_a_change_that_does_not_fit_loads_all_again(node, record, monkeypatch):
    """As when somebody took away an element of ours in the moment between the look and the change."""
    node.plug(record(1), record(2))
    world, stood = node.world(), nft.listing()
    nft.nft("flush", "map", "bridge", "virtfleet", "guests")
    load.rules(node.host, world, world.saved, world.files, {})
    assert nft.listing() == stood
    nft.nft("flush", "map", "bridge", "virtfleet", "guests")
    left = {key: port for key, port in world.saved.items() if port.instance != "vfn-2"}
    load.rules(node.host, world, left, {key: world.files[key] for key in left}, {})
    assert nft.blocks(nft.listing()) == nft.blocks(nft.meant(rules_of(left.values(), {})))


def test_an_unnoticed_change_of_others_at_the_same_moment_is_found_by_the_next_run(node, record, monkeypatch):
    node.plug(record(1))
    change = delta.change

    def late(*given):
        nft.nft("add", "rule", "bridge", "virtfleet", "guarded", "accept")
        return change(*given)

    monkeypatch.setattr(delta, "change", late)
    node.plug(record(2))
    monkeypatch.undo()
    assert not node.world().rules
    assert node.plug(record(2))[0].changed
    assert node.world().rules
