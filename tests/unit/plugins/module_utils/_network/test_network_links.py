# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of `ip -batch` between what is there and what is wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._network.links import Link, commands, refusal

TAP = Link("tap1", "tap", "virtfleet:1", "fe:54:00:00:00:01", 1500, master="br0", guard=True)
BRIDGE = Link("virtfleet0", "bridge", "virtfleet:nat", "02:76:66:00:00:01", 1450, addresses=("10.0.0.1/24",))


def test_what_stands_needs_no_line():
    assert commands(TAP, TAP) == [] and commands(BRIDGE, BRIDGE) == []


def test_a_new_tap_is_marked_before_it_is_anything_else():
    assert commands(TAP, None) == [
        "tuntap add dev tap1 mode tap",
        "link set dev tap1 addrgenmode none",
        "link set dev tap1 alias virtfleet:1 address fe:54:00:00:00:01 mtu 1500 master br0 up",
        "link set dev tap1 type bridge_slave guard on isolated off",
    ]


def test_a_tap_that_left_its_bridge_is_put_back():
    assert commands(TAP, replace(TAP, master=""))[0].startswith("link set dev tap1 ")


def test_a_new_bridge_keeps_its_mtu_whatever_is_plugged_later():
    lines = commands(BRIDGE, None)
    assert " mtu 1449 type bridge " in lines[0] and " mtu 1450 " in lines[1]
    assert lines[2:] == ["address replace 10.0.0.1/24 dev virtfleet0"]


def test_only_a_missing_address_is_added():
    wanted = replace(BRIDGE, addresses=("10.0.0.1/24", "10.1.0.1/24"))
    assert commands(wanted, BRIDGE)[-1] == "address replace 10.1.0.1/24 dev virtfleet0"
    assert sum(line.startswith("address") for line in commands(wanted, BRIDGE)) == 1


BARE = replace(TAP, alias="", master="", up=False, mac="fe:00:00:00:00:00", guard=False)


@pytest.mark.parametrize(
    "actual,ours",
    [
        (None, True),
        (TAP, True),
        (replace(TAP, master="br1", mtu=9000), True),
        (BARE, True),
        (replace(BARE, up=True), False),
        (replace(BARE, master="br0"), False),
        (replace(TAP, alias="Neutron"), False),
        (replace(TAP, alias="virtfleet:2"), False),
        (replace(BARE, kind="other"), False),
    ],
)
def test_a_link_of_others_is_refused(actual, ours):
    assert (refusal(TAP, actual) == "") is ours
