# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port from an instance record, and what is refused before it could reach a rule."""

from __future__ import annotations

import json

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._network.port import (
    from_dict,
    link_local,
    of_record,
    tap_name,
    to_dict,
)

ID = "5f0c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a5b"


def record(**port):
    values = {
        "id": ID,
        "network": "lan",
        "type": "nat",
        "bridge": "virtfleet0",
        "mtu": 1500,
        "mac": "52:54:00:AB:cd:ef",
        "addresses": [{"address": "10.0.0.31", "prefix": 24}, {"address": "2001:DB8::1", "prefix": 64}],
        "subnets": [
            {"cidr": "10.0.0.0/24", "gateway": "10.0.0.1"},
            {"cidr": "2001:db8::/64", "gateway": "2001:db8::f"},
        ],
        **port,
    }
    return {"name": "web-1", "uuid": "u", "domain": "prod-web-1", "ports": [values]}


def test_a_port_of_a_record():
    (port,) = of_record(record())
    assert port.tap == tap_name(ID) == "tap5f0c1a2b3c4" and len(port.tap) <= 15
    assert port.mac == "52:54:00:ab:cd:ef"
    assert port.addresses == ("10.0.0.31", "2001:db8::1")
    assert port.gateways == ("10.0.0.1/24",)
    assert port.port_security and port.domain == "prod-web-1"


def test_a_saved_port_comes_back_and_unknown_keys_do_not_hurt():
    (port,) = of_record(record())
    assert from_dict({**json.loads(json.dumps(to_dict(port))), "later": 1}) == port


@pytest.mark.parametrize("missing", [None, [], "absent"])
def test_a_record_without_ports_has_none(missing):
    empty = {"name": "web-1", "uuid": "u", "ports": missing}
    if missing == "absent":
        del empty["ports"]
    assert of_record(empty) == []


def test_only_false_opens_a_port():
    ports = [of_record(record(port_security=value))[0] for value in (None, True, False)]
    assert [port.port_security for port in ports] == [True, True, False]


@pytest.mark.parametrize(
    "change,words",
    [
        ({"id": "x"}, "port 1 has id 'x', which is none"),
        ({"id": None}, "port 1 has no id"),
        ({"mac": ""}, "port 1 has no mac"),
        ({"mac": '52:54:00:ab:cd:ef" }'}, "port 1 has mac"),
        ({"bridge": "a very long bridge name"}, "port 1 has bridge"),
        ({"bridge": 'br0" : accept }'}, "port 1 has bridge"),
        ({"bridge": "-br0"}, "port 1 has bridge"),
        ({"tap": "tap0"}, "port 1 has tap 'tap0', but its id makes it 'tap5f0c1a2b3c4'"),
        ({"mtu": 100}, "port 1 has mtu 100: want 576 to 65521"),
        ({"mtu": "big"}, "port 1 has a wrong mtu"),
        ({"addresses": [{"address": "10.0.0.300"}]}, "port 1 has a wrong address: '10.0.0.300' does not appear"),
        ({"addresses": [{}]}, "port 1 has a wrong address"),
        ({"subnets": [{"cidr": "10.0.0.1/24"}]}, "port 1 has a wrong subnet: 10.0.0.1/24 has host bits set"),
        (
            {"subnets": [{"cidr": "10.0.0.0/24", "gateway": "10.0.1.1"}]},
            "gateway 10.0.1.1 outside its subnet 10.0.0.0/24",
        ),
    ],
)
def test_a_wrong_port_is_the_requests_fault(change, words):
    with pytest.raises(ItemError) as raised:
        of_record(record(**change))
    assert words in str(raised.value) and raised.value.fault == "request"


def test_link_local_is_eui_64():
    assert link_local("52:54:00:ab:cd:ef") == "fe80::5054:ff:feab:cdef"
