# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ruleset as text: golden files, and what must hold for any ports."""

from __future__ import annotations

import os
import pathlib
import random
import uuid

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._network.members import Members
from ansible_collections.virtfleet.compute.plugins.module_utils._network.port import Port, tap_name
from ansible_collections.virtfleet.compute.plugins.module_utils._network.rules import Rule
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


WEB = (
    Rule("egress"),
    Rule("ingress", protocol="tcp", ports=(443, 443)),
    Rule("ingress", protocol="udp", ports=(5000, 5009), remote="10.0.0.0/8"),
    Rule("ingress", version=6, protocol="icmpv6", types=(128, 0)),
    Rule("ingress", protocol="tcp", ports=(22, 22), group="default/bastion/lan"),
    Rule("ingress", version=4, protocol="vrrp"),
)
GROUPED = {
    "filtered": True,
    "rules": WEB,
    "pairs": ("00:00:5e:00:01:0a 10.0.0.200/32", "52:54:00:00:00:01 10.9.0.0/16"),
}
MEMBERS = {"default/bastion/lan": Members(7, ("10.0.0.9/32", "2001:db8::9/128"))}
CASES["groups"] = [port(1, **GROUPED), port(2, **GROUPED), port(3, filtered=True)]


@pytest.mark.parametrize("case", CASES)
def test_ruleset_is_the_golden_one(case):
    """Set VIRTFLEET_GOLDEN=write to write the files anew, and read the difference."""
    file = GOLDEN / f"{case}.nft"
    if os.environ.get("VIRTFLEET_GOLDEN") == "write":
        file.write_text(text(CASES[case], MEMBERS))
    assert text(CASES[case], MEMBERS) == file.read_text()


def test_where_the_kernel_tracks_bridges_no_other_table_is_needed():
    told = text(CASES["groups"], MEMBERS, native=True)
    assert "meta mark" not in told and "ct state established,related ct mark & 0x20000000 == 0 accept" in told
    assert "meta mark" in text(CASES["groups"], MEMBERS)


def test_ports_that_let_the_same_pass_share_their_chains():
    def chains(ports):
        return text(ports, MEMBERS).count("jump always_in\n")

    assert chains([port(number, **GROUPED) for number in range(1, 100)]) == 1
    assert chains(CASES["groups"]) == 2


def test_the_names_of_groups_are_not_written_into_rules():
    evil = "default/x; } drop #/lan"
    told = text([port(1, filtered=True, rules=(Rule("ingress", group=evil),))], {evil: Members(1, ("10.0.0.1/32",))})
    assert "drop #" not in told and "10.0.0.1/32" in told


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
