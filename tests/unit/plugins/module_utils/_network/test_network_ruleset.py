# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ruleset as text: golden files, and what must hold for any ports."""

from __future__ import annotations

import pathlib
import random
import uuid

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._network.port import Port, tap_name
from ansible_collections.virtfleet.compute.plugins.module_utils._network.ruleset import text

GOLDEN = pathlib.Path(__file__).parent / "golden"


def port(number, **more):
    port_id = str(uuid.UUID(int=(0xA0 + number) << 96))
    values = {
        "id": port_id,
        "instance": f"web-{number}",
        "uuid": str(uuid.UUID(int=number)),
        "domain": f"web-{number}",
        "network": "lan",
        "type": "nat",
        "bridge": "virtfleet0",
        "mtu": 1500,
        "mac": f"52:54:00:00:00:{number:02x}",
        "tap": tap_name(port_id),
        "addresses": (f"10.0.0.{number}",),
        "gateways": ("10.0.0.254/24",),
    }
    return Port(**{**values, **more})


CASES = {
    "none": [],
    "one": [port(1)],
    "kinds": [
        port(1, addresses=("10.0.0.1", "10.0.0.101", "2001:db8::1")),
        port(2, port_security=False),
        port(3, addresses=(), type="bridge", bridge="br0", gateways=()),
        port(4, bridge="virtfleet1", gateways=("10.1.0.1/16", "10.2.0.1/16")),
    ],
    "only_bridge": [port(1, type="bridge", bridge="br0")],
}


@pytest.mark.parametrize("case", CASES)
def test_ruleset_is_the_golden_one(case):
    assert text(CASES[case]) == (GOLDEN / f"{case}.nft").read_text()


def test_the_order_of_the_ports_does_not_matter():
    ports = [port(number) for number in range(1, 50)]
    shuffled = ports[:]
    random.Random(1).shuffle(shuffled)
    assert text(shuffled) == text(ports)


def test_a_port_adds_elements_and_no_rules():
    def rules(ports):
        lines = text(ports).splitlines()
        return [line for line in lines if not line.startswith(" " * 12)]

    assert rules([port(1)]) == rules([port(number) for number in range(1, 100)])
    assert len(text([port(1), port(2)]).splitlines()) - len(text([port(1)]).splitlines()) == 5


def test_an_open_port_is_in_no_set():
    one = port(1, port_security=False)
    assert text([one]).count(one.tap) == 1
