# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections may go on: read from the words of conntrack, judged as the rules of nftables would."""

from __future__ import annotations

import json

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._network import flows, rules
from ansible_collections.virtfleet.compute.plugins.module_utils._network.members import Members, merged, told
from ansible_collections.virtfleet.compute.plugins.module_utils._network.port import Port, from_dict, to_dict
from ansible_collections.virtfleet.compute.plugins.module_utils._network.rules import Rule

TCP = (
    "tcp      6 431999 ESTABLISHED src=10.0.0.9 dst=10.0.0.1 sport=52192 dport=80 src=10.0.0.1 dst=10.0.0.9 "
    "sport=80 dport=52192 [ASSURED] mark=0 zone=7 use=1"
)
PING6 = (
    "icmpv6   58 29 src=2001:db8::9 dst=2001:db8::1 type=128 code=0 id=7 src=2001:db8::1 dst=2001:db8::9 type=129 "
    "code=0 id=7 mark=536870912 use=1"
)
WHERE = {"type": "nat", "network": "lan", "bridge": "b", "mtu": 1500, "mac": "52:54:00:00:00:01", "tap": "t"}
WHO = {"id": "i", "instance": "n", "uuid": "u", "domain": "n", "addresses": ("10.0.0.1", "2001:db8::1")}


def port(*allowed, **more):
    return Port(**{**WHO, **WHERE, "filtered": True, "rules": allowed, **more})


def test_a_connection_is_read_from_the_side_that_began_it():
    one, two = flows.parse(TCP), flows.parse(PING6)
    assert (one.protocol, one.source, one.target, one.source_port, one.target_port) == (
        6,
        "10.0.0.9",
        "10.0.0.1",
        52192,
        80,
    )
    assert (one.cut, one.zone, two.cut, two.zone) == (False, 7, True, 0)
    assert (two.protocol, two.types, two.ident) == (58, (128, 0), 7)


@pytest.mark.parametrize(
    "rule,allowed",
    [
        (Rule("ingress"), True),
        (Rule("egress"), False),
        (Rule("ingress", version=4), True),
        (Rule("ingress", version=6), False),
        (Rule("ingress", protocol="tcp", ports=(80, 80)), True),
        (Rule("ingress", protocol="tcp", ports=(81, 90)), False),
        (Rule("ingress", protocol="udp", ports=(80, 80)), False),
        (Rule("ingress", remote="10.0.0.8/31"), True),
        (Rule("ingress", remote="10.0.1.0/24"), False),
        (Rule("ingress", remote="2001:db8::/32"), False),
        (Rule("ingress", group="default/web/lan"), True),
        (Rule("ingress", group="default/db/lan"), False),
    ],
)
def test_a_rule_lets_a_connection_begin(rule, allowed):
    members = {"default/web/lan": Members(1, ("10.0.0.9/32",))}
    flow = flows.parse(TCP)
    assert flows.judged([port(rule, zone=7)], members, [flow]) == ([] if allowed else [(flow, False)])


def test_another_zone_is_another_network():
    assert flows.judged([port(zone=8)], {}, [flows.parse(TCP)]) == []


def test_what_may_be_again_is_forgotten():
    flow = flows.parse(PING6)
    echo = Rule("ingress", version=6, protocol="icmpv6", types=(128, -1))
    assert flows.judged([port(echo)], {}, [flow]) == [(flow, True)]
    assert flows.judged([port()], {}, [flow]) == []


def test_both_ends_must_agree():
    ends = [port(Rule("ingress"), zone=7), port(zone=7, id="j", addresses=("10.0.0.9",))]
    assert flows.judged(ends, {}, [flows.parse(TCP)])[0][1] is False


def test_a_port_with_rules_comes_back_from_its_file():
    one = port(Rule("ingress", protocol="tcp", ports=(1, 2)), Rule("egress"), pairs=("52:54:00:00:00:01 10.0.0.9/32",))
    assert from_dict(json.loads(json.dumps(to_dict(one)))) == one


def test_an_older_word_does_not_replace_a_newer_one():
    known = told(5, {"a": ["10.0.0.1"], "b": ["10.0.0.2"]})
    assert merged(known, told(4, {"a": [], "c": ["10.0.0.3"]})) == {**known, "c": Members(4, ("10.0.0.3/32",))}
    assert merged(known, told(5, {"a": []}))["a"].addresses == ()


@pytest.mark.parametrize(
    "record,says",
    [
        ({"protocol": "tcp accept"}, "which is none"),
        ({"direction": "up"}, "which is none"),
        ({"ports": "80; drop"}, "want a port or first-last"),
        ({"icmp_type": "8 }"}, "want 0 to 255"),
        ({"remote": "10.0.0.0/33"}, "wrong remote"),
    ],
)
def test_nothing_strange_gets_into_a_rule(record, says):
    with pytest.raises(Exception, match=says):
        rules.from_record(record, "port 1", ("default", "lan"))


@pytest.mark.parametrize("groups", [{"a": ["10.0.0.0/8 } drop"]}, {"a": 7}, ["a"]])
def test_nothing_strange_gets_into_a_set(groups):
    with pytest.raises(Exception, match="cannot be read"):
        told(1, groups)
