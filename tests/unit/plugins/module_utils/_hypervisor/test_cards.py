# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards that come and go: what libvirt is asked for, and that what fails half way is taken back.

libvirt's test driver takes no devices; tests/integration/network does it with a guest.
"""

from __future__ import annotations

import libvirt
import pytest
from lxml import etree

from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import cards, hotplug
from ansible_collections.virtfleet.compute.plugins.module_utils._model.domain import Domain, Plan, Shape
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.devices import card
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import port, record


class Running:
    """A running guest with cards; one that is `stuck` lets go of none, one that is `full` takes none."""

    def __init__(self, instance, stuck=False, full=()):
        self.cards = [card(one, instance) for one in instance.ports]
        self.stuck, self.full = stuck, full

    def name(self):
        return "web-1"

    def taps(self):
        return [etree.fromstring(one).find("target").get("dev") for one in self.cards]

    def XMLDesc(self, flags):
        return f"<domain><devices>{''.join(self.cards)}</devices></domain>"

    def attachDeviceFlags(self, text, flags):
        assert flags == libvirt.VIR_DOMAIN_AFFECT_LIVE
        if any(tap in text for tap in self.full):
            raise libvirt.libvirtError("no slot")
        self.cards.append(text)

    def detachDeviceFlags(self, text, flags):
        if not self.stuck:
            tap = etree.fromstring(text).find("target").get("dev")
            self.cards = [one for one in self.cards if tap not in one]


def with_ports(*numbers):
    return Instance.from_record(record(ports=[port(number) for number in numbers]))


def plan(old, new):
    found = Domain(old.domain, old.uuid, "running", Shape(1, 1, (), ()), old, old)
    return Plan(new, found)


def steps(word, *numbers):
    return [f"{word} {port(number)['id']}" for number in numbers]


def taps(*numbers):
    return [port(number)["tap"] for number in numbers]


def test_a_card_comes_once():
    domain = Running(with_ports(0))
    for _round in range(2):
        cards.take(domain, plan(with_ports(0), with_ports(0, 1)), steps("plug", 1))
        assert domain.taps() == taps(0, 1)


def test_a_card_goes_once():
    domain = Running(with_ports(0, 1))
    for _round in range(2):
        cards.take(domain, plan(with_ports(0, 1), with_ports(0)), steps("unplug", 1))
        assert domain.taps() == taps(0)


def test_what_fails_half_way_is_taken_back():
    domain = Running(with_ports(0), full=taps(2))
    with pytest.raises(ItemError, match="Failed to plug a card of network lan into web-1"):
        cards.take(domain, plan(with_ports(0), with_ports(0, 1, 2)), steps("plug", 1, 2))
    assert domain.taps() == taps(0)


def test_a_guest_that_does_not_let_go_keeps_its_card(monkeypatch):
    monkeypatch.setattr(hotplug, "LETTING_GO", 0.1)
    domain = Running(with_ports(0, 1), stuck=True)
    with pytest.raises(ItemError, match="web-1 does not let go of its card of network lan"):
        cards.take(domain, plan(with_ports(0, 1), with_ports(0)), steps("unplug", 1))
    assert domain.taps() == taps(0, 1)
