# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claiming: every rule, in words of what a user sees."""

from __future__ import annotations

import pytest
from registry_fleet import LAN, host, instance, port

from ansible_collections.virtfleet.compute.plugins.module_utils._model.host import pack
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import report
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.capacity import guests
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.settle import release, renew, settle

RUN = Terms(run="run-1", who="ops")
OTHER = Terms(run="run-2")


def told(on, gather):
    return on(lambda connection: report.everything(connection, [gather], False, 100))[gather]


def used(on, name="vfr-h1"):
    record = next(one["record"] for one in told(on, "hosts") if one["name"] == name)
    return record["vcpus_used"], record["memory_mb_used"], record["disk_gb_used"]


def refused(outcome, fault):
    """Return the message of an outcome that is refused with this fault."""
    assert outcome.error and outcome.fault == fault, outcome
    assert not outcome.changed and outcome.facts.keys() <= {"host", "held_by"}
    return outcome.error


def test_a_claim_gives_host_addresses_and_time(on):
    (got,) = on(claim, [instance()], [host()], RUN)
    assert got.changed and not got.error
    assert got.facts["claim_state"] == "claimed" and got.facts["host"] == "vfr-h1" and got.facts["generation"] == 1
    assert [one["address"] for one in got.facts["ports"][0]["addresses"]] == ["192.0.2.10"]
    assert used(on) == (1, 256, 1)
    (row,) = told(on, "instances")
    assert (
        row["addresses"] == ["192.0.2.10"]
        and row["flavor"] == "m1.tiny"
        and row["created_at"] == got.facts["created_at"]
    )


def test_a_second_claim_and_settle_change_nothing(on):
    first = on(claim, [instance()], [host()], RUN)[0].facts
    on(settle, [instance()], RUN)
    (again,) = on(claim, [instance()], [host()], OTHER)
    assert not again.changed
    assert again.facts["ports"] == first["ports"] and again.facts["created_at"] == first["created_at"]
    assert again.facts["claim_state"] == "active"
    (settled,) = on(settle, [instance()], OTHER)
    assert not settled.changed and not settled.error


def test_an_active_instance_stays_on_its_host(on):
    on(claim, [instance()], [host(), host("vfr-h2")], RUN)
    on(settle, [instance()], RUN)
    (again,) = on(claim, [instance(at="vfr-h2")], [], OTHER)
    assert again.facts["host"] == "vfr-h1" and not again.changed
    (other_spec,) = on(claim, [instance(at="vfr-h2", memory_mb=512)], [], OTHER)
    assert other_spec.facts["host"] == "vfr-h1" and other_spec.facts["claim_state"] == "changing"


def test_one_that_fails_does_not_stop_the_others(on):
    asked = [instance("a"), instance("b", vcpus=9), {"name": "c"}, instance("d", at="nowhere"), instance("e")]
    a, b, c, d, e = on(claim, asked, [host()], RUN)
    assert a.changed and e.changed
    assert "VCPU" in refused(b, "host")
    assert "has no 'uuid'" in refused(c, "request")
    assert "never seen host nowhere" in refused(d, "host")
    assert [row["name"] for row in told(on, "instances")] == ["a", "e"]


@pytest.mark.parametrize(
    "sizes,word",
    [({"vcpus": 3}, "VCPU needs 3, 2 of 8"), ({"memory_mb": 3000}, "MEMORY_MB"), ({"disk_gb": 50}, "DISK_GB")],
)
def test_capacity_counts_claims_and_strangers(on, sizes, word):
    stranger = {"uuid": "not-ours", "name": "old-vm", "vcpus": 5, "memory_mb": 5000, "disk_gb": 50}
    fleet = [host(instances=[stranger], vcpus_used=5, memory_mb_used=5000, disk_gb_used=50)]
    on(claim, [instance("first")], fleet, RUN)
    assert word in refused(on(claim, [instance("second", **sizes)], fleet, RUN)[0], "host")
    assert used(on) == (6, 5256, 51)


def test_a_domain_of_ours_on_the_host_is_not_counted_twice(on):
    ours = instance("a", vcpus=4)
    on(claim, [ours], [host()], RUN)
    seen = {"uuid": ours["uuid"], "name": "a", "vcpus": 4, "memory_mb": 256, "disk_gb": 1}
    fleet = [host(instances=[seen], vcpus_used=4, memory_mb_used=256, disk_gb_used=1)]
    assert on(claim, [instance("b", vcpus=4)], fleet, RUN)[0].changed
    bare = [host(instances=[ours["uuid"]], vcpus_used=4, memory_mb_used=256, disk_gb_used=1)]
    on(claim, [], bare, RUN)
    assert used(on) == (8, 512, 2)


def test_a_domain_that_the_registry_has_forgotten_is_claimed_where_it_is(on):
    ours = instance(at="vfr-h1")
    seen = {"uuid": ours["uuid"], "name": "web-1", "vcpus": 1, "memory_mb": 256, "disk_gb": 1}
    there = host("vfr-h2", instances=[seen], vcpus_used=1, memory_mb_used=256, disk_gb_used=1)
    (got,) = on(claim, [ours], [host(), there], RUN)
    assert got.facts["host"] == "vfr-h2" and used(on, "vfr-h2") == (1, 256, 1)


def test_a_domain_that_was_moved_behind_our_back_is_not_started_again(on):
    ours = instance()
    on(claim, [ours], [host(), host("vfr-h2")], RUN)
    on(settle, [ours], RUN)
    seen = {"uuid": ours["uuid"], "name": "web-1", "vcpus": 1, "memory_mb": 256, "disk_gb": 1}
    moved = [host(), host("vfr-h2", instances=[seen])]
    for gathered in (moved, moved[1:]):
        told_by = refused(on(claim, [ours], gathered, OTHER)[0], "request")
        assert "its domain is on vfr-h2 and the registry has it on vfr-h1" in told_by


def test_reserve_ratio_and_the_physical_total(on):
    fleet = [host(vcpus=4, cpu_allocation_ratio=2.0, reserved_vcpus=1, memory_mb=1024, reserved_memory_mb=256)]
    a, b, c = on(claim, [instance("a", vcpus=4), instance("b", vcpus=3), instance("c", vcpus=2)], fleet, RUN)
    assert a.changed and "2 of 6 is free" in refused(b, "host") and c.changed
    (large,) = on(claim, [instance("large", vcpus=5)], [host("vfr-big", vcpus=4, cpu_allocation_ratio=16.0)], RUN)
    assert "gives one instance 1 to 4 VCPU" in refused(large, "host")


def test_nova_s_defaults_where_a_host_says_nothing(on):
    bare = {"name": "vfr-h1", "vcpus": 2, "memory_mb": 1024, "disk_gb": 10}
    asked = [instance(f"vm-{number}", vcpus=2, memory_mb=100) for number in range(5)]
    outcomes = on(claim, asked, [bare], RUN)
    assert [bool(one.error) for one in outcomes] == [False] * 4 + [True]
    assert "VCPU needs 2, 0 of 8 is free" in outcomes[4].error
    (large,) = on(claim, [instance("x", memory_mb=113, flavor={"vcpus": 0, "memory_mb": 113})], [bare], RUN)
    assert "MEMORY_MB needs 113, 112 of 512 is free" in refused(large, "host")


def test_other_resource_classes(on):
    gpu = {"vcpus": 1, "memory_mb": 1, "disk_gb": 0, "extra_specs": {"resources:VGPU": "1"}}
    with_gpu = host("vfr-gpu", inventory={"VGPU": {"total": 1}})
    asked = [
        instance("a", at="vfr-gpu", flavor=gpu),
        instance("b", at="vfr-gpu", flavor=gpu),
        instance("c", flavor=gpu),
    ]
    a, b, c = on(claim, asked, [with_gpu, host()], RUN)
    assert a.changed and "VGPU needs 1, 0 of 1" in b.error and "has no VGPU" in c.error
    full = host("vfr-gpu", inventory={"VGPU": {"total": 2, "used": 2}}, instances=[asked[0]["uuid"]])
    on(claim, [], [full], RUN)
    record = next(one["record"] for one in told(on, "hosts") if one["name"] == "vfr-gpu")
    assert record["inventory"]["VGPU"] == {"total": 2, "used": 2}


def test_names_macs_ports_and_addresses_are_given_once(on):
    fleet = [host(), host("vfr-h2")]
    taken = port("default/a", fixed_ip="192.0.2.77")
    on(claim, [instance("a", ports=[taken])], fleet, RUN)
    other = {"uuid": "other-uuid", "ports": []}
    assert "has another a" in refused(on(claim, [{**instance("a"), **other}], [], RUN)[0], "request")
    same_domain = instance("b", project="p", domain="a", ports=[])
    assert "domain name a on vfr-h1" in refused(on(claim, [same_domain], [], RUN)[0], "host")
    assert on(claim, [{**same_domain, "host": "vfr-h2"}], [], RUN)[0].changed
    mac = instance("c", ports=[{**port("default/c"), "mac": taken["mac"].upper()}])
    assert "MAC" in refused(on(claim, [mac], [], RUN)[0], "request")
    same_port = instance("d", ports=[{**port("default/d"), "id": taken["id"]}])
    assert "port" in refused(on(claim, [same_port], [], RUN)[0], "request")
    address = instance("e", ports=[port("default/e", fixed_ip="192.0.2.77")])
    told_by = refused(on(claim, [address], [], RUN)[0], "request")
    assert "192.0.2.77 of network lan belongs to a (project default)" in told_by
    floats = instance("f", ports=[port("default/f", network="red", floating_ip="203.0.113.7")])
    assert on(claim, [floats], [], RUN)[0].changed
    same = instance("g", ports=[port("default/g", network="blue", floating_ip="203.0.113.7")])
    assert "203.0.113.7 belongs to f (project default)" in refused(on(claim, [same], [], RUN)[0], "request")
    twice = [port(one, 0, network="blue", floating_ip="203.0.113.8") for one in ("x", "y")]
    told_by = refused(on(claim, [instance("h", ports=twice)], [], RUN)[0], "request")
    assert "203.0.113.8 belongs to another port of this instance" in told_by


FLOATING = "203.0.113.7"


def floats(name, address=FLOATING, **more):
    """Return an instance that others reach at the address, or at none."""
    told = {"floating_ip": address} if address else {}
    return instance(
        name, ports=[port(f"default/{name}", network="red", **told)], spec_digest=f"{name}{address}", **more
    )


def test_a_floating_address_that_one_gives_up_is_the_others_when_the_host_has_done_it(on):
    on(claim, [floats("a"), floats("b", None)], [host(vcpus=9)], RUN)
    on(settle, [floats("a"), floats("b", None)], RUN)
    giver, takers = floats("a", None), [floats("b"), floats("c")]
    b, c, a = on(claim, [*takers, giver], [], OTHER)
    assert a.facts["claim_state"] == "changing" and "waits" not in a.facts
    for one in (b, c):
        assert one.changed and not one.error and one.facts["waits"] == [giver["uuid"]]
    assert b.facts["existing"] and not c.facts.get("claim_state")
    assert [row["name"] for row in told(on, "instances")] == ["a", "b"], "who waits holds nothing"
    waiting = [{**one, "waits": [giver["uuid"]]} for one in takers]
    assert "belongs to a" in on(claim, waiting, [], OTHER)[0].error, "its host has not done it yet"
    on(settle, [giver], OTHER)
    b, c = on(claim, waiting, [], OTHER)
    assert b.facts["claim_state"] == "changing" and b.facts["waits"] == []
    assert "belongs to b" in c.error


def test_a_floating_address_stays_with_one_that_could_not_be_changed(on):
    on(claim, [floats("a")], [host(vcpus=2)], RUN)
    on(settle, [floats("a")], RUN)
    too_large = floats("a", None, vcpus=99)
    _a, b = on(claim, [too_large, floats("b")], [], OTHER)
    assert "belongs to a" in refused(b, "request")
    _a, b = on(claim, [floats("a", None), floats("b")], [], OTHER)
    assert b.facts["waits"]
    on(settle, [{**floats("a", None), "failed": True, "undone": True}], OTHER)
    assert "belongs to a" in refused(on(claim, [floats("b")], [], OTHER)[0], "request")


def test_two_that_would_swap_their_floating_addresses_are_refused(on):
    other = "203.0.113.8"
    on(claim, [floats("a"), floats("b", other)], [host()], RUN)
    on(settle, [floats("a"), floats("b", other)], RUN)
    a, b = on(claim, [floats("a", other), floats("b")], [], OTHER)
    assert "belongs to b" in refused(a, "request") and "belongs to a" in refused(b, "request")


def test_a_domain_of_that_name_that_is_not_ours(on):
    stranger = {"uuid": "not-ours", "name": "web-1", "vcpus": 1, "memory_mb": 1, "disk_gb": 1}
    assert "not ours" in refused(on(claim, [instance()], [host(instances=[stranger])], RUN)[0], "host")


def test_two_ports_of_one_instance_on_one_network(on):
    one, two = port("x", 0), port("x", 1)
    (got,) = on(claim, [instance(ports=[one, two])], [host()], RUN)
    assert [each["addresses"][0]["address"] for each in got.facts["ports"]] == ["192.0.2.10", "192.0.2.11"]
    clash = [port("y", 0, fixed_ip="192.0.2.40"), port("y", 1, fixed_ip="192.0.2.40")]
    assert "another port of this instance" in refused(on(claim, [instance("y", ports=clash)], [], RUN)[0], "request")


def test_quotas_of_nova_and_of_the_project(on):
    fleet = [host(vcpus=100, memory_mb=100000, disk_gb=1000)]
    outcomes = on(claim, [instance(f"vm-{number}") for number in range(11)], fleet, RUN)
    assert "instances needs 1, 0 of 10 is free" in refused(outcomes[10], "request")
    assert not any(one.error for one in outcomes[:10])
    terms = Terms(run="run-1", quotas={"p": {"instances": -1, "cores": 3, "memory_mb": 600}})
    asked = [instance(name, project="p", vcpus=2, memory_mb=300) for name in ("a", "b")]
    first, second = on(claim, asked, fleet, terms)
    assert first.changed and "cores needs 2, 1 of 3 is free" in refused(second, "request")
    assert told(on, "projects")["p"] == {"instances": 1, "cores": 2, "memory_mb": 300}


def test_server_groups(on):
    fleet = [host(), host("vfr-h2")]
    apart = {"name": "apart", "policy": "anti-affinity"}
    two = {"name": "two", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}
    close = {"name": "close", "policy": "affinity"}
    soft = {"name": "soft", "policy": "soft-anti-affinity"}

    def ask(name, group, at="vfr-h1"):
        return on(claim, [instance(name, at=at, server_group=group)], fleet, RUN)[0]

    assert ask("a1", apart).changed
    assert "anti-affinity allows 1" in refused(ask("a2", apart), "host")
    assert ask("a2", apart, "vfr-h2").changed
    batch = [instance(name, server_group=two) for name in ("t1", "t2", "t3")]
    assert [bool(one.error) for one in on(claim, batch, fleet, RUN)] == [False, False, True]
    assert ask("c1", close).changed
    assert "is on vfr-h1 and affinity" in refused(ask("c2", close, "vfr-h2"), "host")
    assert ask("c2", close).changed
    assert ask("s1", soft).changed and ask("s2", soft).changed
    on(release, [instance("a1")], RUN)
    assert ask("a3", apart).changed


def test_a_claim_of_another_run_is_left_alone_until_its_lease_ends(on):
    on(claim, [instance()], [host()], RUN)
    told_by = refused(on(claim, [instance()], [host()], OTHER)[0], "request")
    assert "run run-1 is at work on it until" in told_by and "claim_takeover" in told_by
    assert "at work on it" in refused(on(release, [instance()], OTHER)[0], "request")
    assert "has taken its claim over" in refused(on(settle, [instance()], OTHER)[0], "request")


def test_a_run_takes_over_what_a_dead_run_left_where_it_was_left(on):
    first = on(claim, [instance()], [host(), host("vfr-h2")], Terms(run="run-1", lease=0))[0].facts
    (got,) = on(claim, [instance(at="vfr-h2")], [], OTHER)
    assert got.changed and got.facts["host"] == "vfr-h1" and got.facts["ports"] == first["ports"]
    assert "run-2 has taken its claim over" in refused(on(settle, [instance()], RUN)[0], "request")
    (named,) = on(claim, [instance(at="vfr-h2")], [], Terms(run="run-3", takeover=frozenset({"run-2"})))
    assert named.changed and named.facts["host"] == "vfr-h1"
    assert [one["action"] for one in told(on, "actions")] == ["adopt", "adopt", "claim"]


def test_the_same_run_may_place_again_and_renews_its_lease(on):
    fleet = [host(), host("vfr-h2")]
    on(claim, [instance()], fleet, RUN)
    (moved,) = on(claim, [instance(at="vfr-h2")], fleet, RUN)
    assert moved.facts["host"] == "vfr-h2" and used(on) == (0, 0, 0) and used(on, "vfr-h2") == (1, 256, 1)
    before = told(on, "instances")[0]["lease_until"]
    on(claim, [instance(at="vfr-h2")], fleet, Terms(run="run-1", lease=9000))
    assert told(on, "instances")[0]["lease_until"] > before


def test_a_failed_instance_is_released_and_counts_against_its_host(on):
    on(claim, [instance("good"), instance("bad"), instance("stuck")], [host()], RUN)
    broken = {"failed": True, "msg": "qemu died", "fault": "host"}
    asked = [instance("good"), instance("bad", **broken), instance("stuck", **broken, undone=False)]
    good, bad, stuck = on(settle, asked, RUN)
    assert good.changed and good.facts["claim_state"] == "active"
    assert bad.error == "qemu died" and bad.fault == "host" and bad.facts["released"]
    assert stuck.error == "qemu died" and not stuck.facts["released"]
    assert {row["name"]: row["state"] for row in told(on, "instances")} == {"good": "active", "stuck": "claimed"}
    assert told(on, "hosts")[0]["record"]["failed_builds"] == 2
    assert told(on, "actions")[0]["action"] == "release" and told(on, "actions")[0]["why"] == "qemu died"
    on(claim, [instance("next")], [], RUN)
    on(settle, [instance("next")], RUN)
    assert told(on, "hosts")[0]["record"]["failed_builds"] == 0


def test_the_next_run_takes_over_at_once_what_a_run_could_not_undo(on):
    on(claim, [instance()], [host(), host("vfr-h2")], RUN)
    on(settle, [instance(failed=True, msg="vfr-h1 was lost", fault="host", undone=False)], RUN)
    (got,) = on(claim, [instance(at="vfr-h2")], [host(), host("vfr-h2")], OTHER)
    assert got.changed and got.facts["host"] == "vfr-h1"


def test_an_active_instance_that_fails_keeps_what_it_has(on):
    on(claim, [instance()], [host()], RUN)
    on(settle, [instance()], RUN)
    on(claim, [instance()], [host()], OTHER)
    (got,) = on(settle, [instance(failed=True, msg="no route")], OTHER)
    assert got.error == "no route" and not got.changed and not got.facts["released"]
    assert told(on, "instances")[0]["state"] == "active"


def test_a_change_holds_both_until_it_is_settled(on):
    on(claim, [instance(vcpus=2, memory_mb=256)], [host()], RUN)
    on(settle, [instance(vcpus=2, memory_mb=256)], RUN)
    wanted = instance(vcpus=1, memory_mb=1024, ports=[port("default/web-1"), port("default/web-1", 1)])
    (got,) = on(claim, [wanted], [host()], OTHER)
    assert got.facts["claim_state"] == "changing" and used(on) == (2, 1024, 1)
    assert [one["addresses"][0]["address"] for one in got.facts["ports"]] == ["192.0.2.10", "192.0.2.11"]
    (again,) = on(claim, [wanted], [host()], OTHER)
    assert not again.changed and again.facts["ports"] == got.facts["ports"]
    on(settle, [wanted], OTHER)
    assert used(on) == (1, 1024, 1) and told(on, "instances")[0]["addresses"] == ["192.0.2.10", "192.0.2.11"]
    assert not on(claim, [wanted], [host()], Terms(run="run-3"))[0].changed


def test_a_change_that_fails_is_put_back(on):
    on(claim, [instance(ports=[])], [host()], RUN)
    on(settle, [instance(ports=[])], RUN)
    wanted = instance(memory_mb=4096)
    on(claim, [wanted], [host()], OTHER)
    (got,) = on(settle, [{**wanted, "failed": True, "msg": "no"}], OTHER)
    assert got.facts["claim_state"] == "active" and used(on) == (1, 256, 1)
    assert on(claim, [instance("web-2", ports=[port("w2", fixed_ip="192.0.2.10")])], [host()], OTHER)[0].changed
    assert on(claim, [instance(ports=[], memory_mb=99999, spec_digest="x")], [host()], OTHER)[0].fault == "request"


def test_release_frees_everything_but_the_log(on):
    ours = instance()
    seen = {"uuid": ours["uuid"], "name": "web-1", "vcpus": 1, "memory_mb": 256, "disk_gb": 1}
    on(claim, [ours], [host()], RUN)
    on(settle, [ours], RUN)
    on(claim, [], [host(instances=[seen], vcpus_used=1, memory_mb_used=256, disk_gb_used=1)], RUN)
    (gone,) = on(release, [ours], Terms(run="run-9", who="ops", why="ticket"))
    assert gone.changed and used(on) == (0, 0, 0) and told(on, "instances") == []
    assert told(on, "projects") == {}
    assert not on(release, [ours], OTHER)[0].changed
    assert on(claim, [instance("new", ports=[port("new", fixed_ip="192.0.2.10")])], [host()], RUN)[0].changed
    log = [(one["action"], one["name"], one["who"], one["why"]) for one in told(on, "actions")]
    assert log == [("claim", "new", "ops", ""), ("delete", "web-1", "ops", "ticket")] + [
        ("activate", "web-1", "ops", ""),
        ("claim", "web-1", "ops", ""),
    ]


def test_a_remembered_host_is_used_when_none_was_gathered(on):
    on(claim, [], [host(vcpus=1)], RUN)
    a, b = on(claim, [instance("a"), instance("b")], [], RUN)
    assert a.changed and b.error
    assert told(on, "hosts")[0]["record"]["instances"][0]["name"] == "a"


SILENT = host("vfr-h1", vcpus=0, memory_mb=0, disk_gb=0, up=False, disabled_reason="no route")


@pytest.mark.parametrize("gathered,why", [([SILENT], "(no route)"), ([], "not among the hosts of this run")])
def test_an_instance_on_a_host_that_does_not_answer_is_left_alone(on, gathered, why):
    on(claim, [instance()], [host()], RUN)
    on(settle, [instance()], RUN)
    moved = instance(at="vfr-h2", vcpus=2)
    (got,) = on(claim, [moved], [host("vfr-h2"), *gathered], OTHER)
    assert got.facts == {"host": "vfr-h1"}
    assert "it is on vfr-h1, which does not answer" in refused(got, "request") and why in got.error
    assert next(one for one in told(on, "hosts") if one["name"] == "vfr-h1")["record"]["vcpus"] == 8


def test_an_instance_on_a_host_that_does_not_answer_is_not_released(on):
    on(claim, [instance()], [host()], RUN)
    on(settle, [instance()], RUN)
    (kept,) = on(release, [instance()], OTHER, [SILENT])
    assert "it is on vfr-h1, which does not answer (no route)" in refused(kept, "request")
    assert len(told(on, "instances")) == 1
    assert on(release, [instance()], OTHER, [host("vfr-h2")])[0].changed


def test_what_was_active_before_exists_whether_its_domain_is_there_or_not(on):
    assert "existing" not in on(claim, [instance()], [host()], RUN)[0].facts
    on(settle, [instance()], RUN)
    assert on(claim, [instance()], [host()], OTHER)[0].facts["existing"]
    assert on(claim, [instance(vcpus=2)], [host()], OTHER)[0].facts["existing"]


def test_a_rehearsal_says_the_same_and_keeps_nothing(on):
    said = on(claim, [instance()], [host()], RUN, rehearse=True)[0]
    assert said.changed and said.facts["ports"][0]["addresses"]
    done = on(claim, [instance()], [host()], RUN)[0]
    assert {**said.facts, "created_at": ""} == {**done.facts, "created_at": ""}
    assert on(release, [instance()], RUN, rehearse=True)[0].changed
    assert len(told(on, "instances")) == 1


def test_odd_names_and_ipv6(on):
    six = {"cidr": "2001:db8::/64"}
    odd = instance("Grüße <&\"' 🚀 %s", ports=[port("odd", subnets=[LAN, six])])
    (got,) = on(claim, [odd], [host()], RUN)
    assert [one["address"] for one in got.facts["ports"][0]["addresses"]] == ["192.0.2.10", "2001:db8::2"]
    assert told(on, "instances")[0]["name"] == odd["name"]


def test_one_that_its_host_refuses_goes_to_the_first_alternate_with_room(on):
    fleet = [host(vcpus=1), host("vfr-h2", vcpus=1), host("vfr-h3"), host("vfr-h4")]
    on(claim, [instance("a"), instance("b", at="vfr-h2")], fleet, RUN)
    (got,) = on(claim, [instance("c", alternates=["vfr-h2", "vfr-h3", "vfr-h4"])], [], OTHER)
    assert got.changed and got.facts["host"] == "vfr-h3" and got.facts["alternates"] == ["vfr-h4"]
    assert got.facts["reason"] == (
        "vfr-h1 has no room: VCPU needs 1, 0 of 1 is free: choose another host or delete something there; "
        "its alternate vfr-h3 has room"
    )
    assert used(on, "vfr-h3") == (1, 256, 1)
    none = refused(on(claim, [instance("d", vcpus=9, alternates=["vfr-h2", "vfr-h3"])], [], OTHER)[0], "host")
    assert none.startswith("vfr-h1 gives one instance 1 to 1 VCPU")


def test_an_alternate_does_not_help_against_a_fault_of_the_request(on):
    limited = Terms("run-1", quotas={"default": {"instances": 1}})
    (first, second) = on(
        claim, [instance("a"), instance("b", alternates=["vfr-h2"])], [host(), host("vfr-h2")], limited
    )
    assert first.changed and "quota" in refused(second, "request")


def test_a_run_moves_what_a_host_failed_and_it_keeps_its_addresses(on):
    fleet = [host(), host("vfr-h2", vcpus=1), host("vfr-h3")]
    on(claim, [instance("full", at="vfr-h2")], fleet, OTHER)
    (first,) = on(claim, [instance()], fleet, RUN)
    (moved,) = on(claim, [instance(at="vfr-h2", alternates=["vfr-h3"])], [], RUN)
    assert moved.changed and moved.facts["host"] == "vfr-h3"
    assert moved.facts["ports"] == first.facts["ports"] and moved.facts["created_at"] == first.facts["created_at"]
    assert used(on) == (0, 0, 0) and used(on, "vfr-h3") == (1, 256, 1)
    failed = {one["name"]: one["record"]["failed_builds"] for one in told(on, "hosts")}
    assert failed == {"vfr-h1": 1, "vfr-h2": 0, "vfr-h3": 0}
    assert [one["action"] for one in told(on, "actions")][:2] == ["move", "claim"]
    on(settle, [instance(at="vfr-h3")], RUN)
    (stays,) = on(claim, [instance()], [], RUN)
    assert stays.facts["host"] == "vfr-h3" and not stays.changed


def test_a_claim_of_another_run_is_not_moved(on):
    on(claim, [instance()], [host(), host("vfr-h2")], RUN)
    assert "run run-1 is at work on it" in refused(on(claim, [instance(at="vfr-h2")], [], OTHER)[0], "request")
    dead = Terms("run-2", takeover=frozenset(["run-1"]))
    assert on(claim, [instance(at="vfr-h2")], [], dead)[0].facts["host"] == "vfr-h1"


def test_a_lease_is_renewed_by_the_run_that_has_it(on):
    short = Terms("run-1", lease=-1)
    on(claim, [instance("a"), instance("b"), instance("c"), instance("d")], [host()], short)
    on(settle, [instance("c")], RUN)
    on(claim, [instance("b")], [], OTHER)
    on(release, [instance("d")], OTHER)
    a, b, c, d = on(renew, [instance("a"), instance("b"), instance("c"), instance("d")], RUN)
    assert not a.error and a.facts["claim_state"] == "claimed" and not c.error and c.facts["claim_state"] == "active"
    assert "run run-2 has taken its claim over" in b.error and "has no claim in the registry any more" in d.error
    rows = {one["name"]: one for one in told(on, "instances")}
    assert not rows["a"]["expired"] and rows["c"]["lease_until"] is None and rows["b"]["run"] == "run-2"
    assert "run run-1 is at work on it" in refused(on(claim, [instance("a")], [], OTHER)[0], "request")


def test_a_fresh_record_says_which_group_a_claim_is_in(on):
    group = {"name": "db", "policy": "anti-affinity"}
    on(claim, [instance("a", server_group=group), instance("b")], [host()], RUN)
    grouped, alone = told(on, "hosts")[0]["record"]["instances"]
    if grouped["name"] != "a":
        grouped, alone = alone, grouped
    assert grouped["record"] == {"project": "default", "server_group": {"name": "db"}}
    assert grouped["project_id"] == "default" and "record" not in alone


def test_the_scheduler_chooses_again_where_a_host_has_failed_builds_it_did_not_know_of(on):
    on(claim, [instance("bad")], [host(), host("vfr-h2")], RUN)
    on(settle, [{**instance("bad"), "failed": True, "msg": "no space", "undone": True}], RUN)
    fleet = [host(), host("vfr-h2")]
    asked = instance(alternates=["vfr-h2"])
    unaware = refused(on(claim, [asked], fleet, RUN)[0], "host")
    assert unaware == "vfr-h1 has failed 1 builds since the last good one: choose again"
    assert on(claim, [{**asked, "refusals": {"vfr-h1": unaware}}], fleet, RUN)[0].facts["host"] == "vfr-h1"
    on(settle, [asked], RUN)
    assert on(claim, [instance("next")], fleet, RUN)[0].changed


def test_what_a_host_failed_is_not_moved_to_one_that_was_lost(on):
    on(claim, [instance()], [host(), host("vfr-h2"), host("vfr-h3")], RUN)
    tried = instance(alternates=["vfr-h2", "vfr-h3"], tried=[{"host": "vfr-h1", "msg": "no space"}])
    lost = host("vfr-h2", up=False, disabled_reason="it was lost")
    (moved,) = on(claim, [tried], [host(), lost, host("vfr-h3")], RUN)
    assert moved.facts["host"] == "vfr-h3" and moved.facts["alternates"] == []
    assert moved.facts["reason"] == "vfr-h1 failed it (no space); its alternate vfr-h3 has room"


def test_where_no_alternate_is_left_the_scheduler_is_asked_and_the_claim_stays_until_then(on):
    on(claim, [instance()], [host(), host("vfr-h2")], RUN)
    tried = instance(tried=[{"host": "vfr-h1", "msg": "no space"}])
    assert refused(on(claim, [tried], [], RUN)[0], "host") == "vfr-h1 failed it (no space)"
    assert used(on) == (1, 256, 1)
    (moved,) = on(claim, [{**tried, "host": "vfr-h2"}], [], RUN)
    assert moved.facts["host"] == "vfr-h2" and used(on) == (0, 0, 0)


def test_what_is_to_be_placed_again_is_listed_on_no_host_so_that_it_is_asked_for(on):
    on(claim, [instance(), instance("web-2", at="vfr-h2")], [host(), host("vfr-h2")], RUN)
    uuids = {instance()["uuid"], instance("web-2")["uuid"]}
    assert {uuid for record in on(report.records) for uuid in guests(record)} == uuids
    one, two = on(report.records, None, {instance()["uuid"]})
    assert not guests(one) and set(guests(two)) == {instance("web-2")["uuid"]}
    assert (one["vcpus_used"], two["vcpus_used"]) == (1, 1)


def test_guests_that_a_record_lists_as_one_text_count_as_those_of_a_list(on):
    stranger = {"uuid": "theirs", "name": "old", "vcpus": 6, "memory_mb": 64, "disk_gb": 1}
    seen = {"uuid": instance("web-3")["uuid"], "name": "web-3", "vcpus": 1, "memory_mb": 256, "disk_gb": 1}
    crowded = host(vcpus=9, instances=pack([stranger, seen]), vcpus_used=7, memory_mb_used=320, disk_gb_used=2)
    first, second, third = on(claim, [instance(name) for name in ("old", "web-2", "web-3")], [crowded], RUN)
    assert "has a domain old that is not ours" in first.error and not second.error and not third.error
    assert used(on) == (8, 576, 3)
    (record,) = on(report.records)
    assert isinstance(record["instances"], str)
    assert set(guests(record)) == {"theirs", instance("web-2")["uuid"], seen["uuid"]}
    on(release, [instance("web-3")], RUN)
    (record,) = on(report.records)
    assert set(guests(record)) == {"theirs", instance("web-2")["uuid"]} and used(on) == (7, 320, 2)


def test_what_is_adopted_says_so(on):
    on(claim, [instance()], [host()], RUN)
    (got,) = on(claim, [instance()], [], Terms("run-2", takeover=frozenset(["all"])))
    assert got.facts["adopted"] and got.facts["claim_state"] == "claimed"
