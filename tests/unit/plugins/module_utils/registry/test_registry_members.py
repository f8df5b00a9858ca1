# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host is told of which members, from the claims of the whole fleet."""

from __future__ import annotations

from registry_fleet import host, instance, port

from ansible_collections.virtfleet.compute.plugins.module_utils._model.membership import digest
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import members
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.settle import release, settle

RUN = Terms(run="run-1")
KEY = "default/default/lan"
GROUP = {"name": "default", "rules": [{"remote_group": "default"}]}


def member(name, at="vfr-h1", **more):
    return instance(name, at, **{"ports": [port(f"default/{name}", security_groups=[GROUP])], **more})


def booted(on, *records):
    hosts = [host(), host("vfr-h2")]
    claimed = on(claim, list(records), hosts, RUN)
    return [{**one, **got.facts, "failed": bool(got.error)} for one, got in zip(records, claimed)]


def test_a_member_on_one_host_is_told_to_the_other(on):
    first = booted(on, member("web-1"))
    told = on(members.told, first, {"vfr-h1": {}, "vfr-h2": {}})
    assert told["vfr-h1"]["groups"] == {KEY: ["192.0.2.10/32"]}
    known = {"vfr-h1": {KEY: digest(["192.0.2.10/32"])}, "vfr-h2": {}}
    second = booted(on, member("web-2", "vfr-h2"))
    again = on(members.told, second, known)
    assert {name: one["groups"][KEY] for name, one in again.items()} == {
        "vfr-h1": ["192.0.2.10/32", "192.0.2.11/32"],
        "vfr-h2": ["192.0.2.10/32", "192.0.2.11/32"],
    }
    assert again["vfr-h1"]["serial"] > told["vfr-h1"]["serial"]


def test_a_host_that_knows_is_told_nothing(on):
    records = booted(on, member("web-1"))
    assert on(members.told, records, {"vfr-h1": {KEY: digest(["192.0.2.10/32"])}}) == {}
    assert on(members.told, [], {"vfr-h1": {}, "vfr-h2": {}}) == {}


def test_one_that_goes_is_a_member_no_more(on):
    one, two = booted(on, member("web-1"), member("web-2", "vfr-h2"))
    both = {"vfr-h1": {KEY: digest(["192.0.2.10/32", "192.0.2.11/32"])}}
    assert on(members.told, [], both, [two["uuid"]])["vfr-h1"]["groups"] == {KEY: ["192.0.2.10/32"]}
    on(settle, [one, two], RUN)
    on(release, [two], RUN)
    assert on(members.told, [], both)["vfr-h1"]["groups"] == {KEY: ["192.0.2.10/32"]}


def test_what_is_refused_is_no_member(on):
    records = booted(on, member("web-1", vcpus=99))
    assert records[0]["failed"] and on(members.told, records, {"vfr-h1": {}}) == {}


def test_a_host_that_did_not_answer_is_told_later(on):
    records = booted(on, member("web-1"), member("web-2", "vfr-h2"))
    assert set(on(members.told, records, {"vfr-h1": {}})) == {"vfr-h1"}


def test_a_group_that_is_changed_counts_as_it_shall_be(on):
    (record,) = booted(on, member("web-1"))
    on(settle, [record], RUN)
    without = member("web-1", ports=[port("default/web-1", security_groups=[])], spec_digest="2")
    booted(on, without)
    assert on(members.told, [], {"vfr-h2": {KEY: ""}}) == {"vfr-h2": {"serial": 3, "host_ip": "", "groups": {KEY: []}}}


def test_a_tunnel_is_told_to_every_host_that_has_a_port_of_it(on):
    def guest(name, at):
        one = port(f"default/{name}", network="red", type="vxlan", security_groups=[])
        return instance(name, at, ports=[one])

    hosts = [host(host_ip="10.99.0.1"), host("vfr-h2", host_ip="10.99.0.2"), host("vfr-h3", host_ip="10.99.0.3")]
    records = [guest("a", "vfr-h1"), guest("b", "vfr-h2")]
    on(claim, records, hosts, RUN)
    told = on(members.told, records, {"vfr-h1": {}, "vfr-h2": {}, "vfr-h3": {}})
    assert {name: one["host_ip"] for name, one in told.items()} == {"vfr-h1": "10.99.0.1", "vfr-h2": "10.99.0.2"}
    macs = [one["ports"][0]["mac"] for one in records]
    wanted = [f"10.99.0.1 {macs[0]} 192.0.2.10", f"10.99.0.2 {macs[1]} 192.0.2.11"]
    assert told["vfr-h1"]["groups"] == told["vfr-h2"]["groups"] == {"vxlan//red": wanted}
