# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many runs at once, and runs that die: no cap exceeded, nothing given twice, nobody refused while there is room."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

import pytest
from registry_fleet import host, instance, port

from ansible_collections.virtfleet.compute.plugins.module_utils._registry import report
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import reading, writing
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.schema import ADDRESSES, ALLOCATIONS, PORTS
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.settle import settle

CONTEXT = multiprocessing.get_context("fork")
UNLIMITED = {"default": {"instances": -1, "cores": -1, "memory_mb": -1}}
CONTROLLERS, EACH, HOSTS, ROOM = 8, 25, 10, 20
WIDE = {"cidr": "198.18.0.0/20"}


def boot(url, number, answers):
    """One controller: claims its instances on hosts it chooses from what it saw, and chooses again where refused."""
    pick = random.Random(number)
    terms = Terms(run=f"run-{number}", quotas=UNLIMITED)
    waiting = [
        instance(f"c{number}-{index}", ports=[port(f"c{number}-{index}", subnets=[WIDE])]) for index in range(EACH)
    ]
    rounds = 0
    while waiting and rounds < 20:
        rounds += 1
        with reading(url) as connection:
            seen = {record["name"]: record["vcpus"] - record["vcpus_used"] for record in report.records(connection)}
        asked = []
        for one in waiting:
            free = [name for name, room in sorted(seen.items()) if room > 0] or sorted(seen)
            at = pick.choice(free)
            seen[at] -= 1
            asked.append({**one, "host": at})
        with writing(url) as connection:
            outcomes = claim(connection, asked, [], terms)
        waiting = [one for one, outcome in zip(waiting, outcomes) if outcome.error]
        if waiting and all(outcome.fault == "request" for outcome in outcomes if outcome.error):
            break
    answers.put((number, len(waiting), rounds))


def test_controllers_on_a_nearly_full_fleet(url):
    # Each host has room for ROOM of ours beside 19 times as much of others: 95% full.
    stranger = {"uuid": "not-ours", "name": "old", "vcpus": 19 * ROOM, "memory_mb": 0, "disk_gb": 0}
    size = {"vcpus": 20 * ROOM, "memory_mb": 10**6, "disk_gb": 10**5, "vcpus_used": 19 * ROOM}
    with writing(url) as connection:
        claim(
            connection,
            [],
            [host(f"vfr-h{number}", instances=[stranger], **size) for number in range(HOSTS)],
            Terms("prepare"),
        )
    answers = CONTEXT.Queue()
    controllers = [CONTEXT.Process(target=boot, args=(url, number, answers)) for number in range(CONTROLLERS)]
    for controller in controllers:
        controller.start()
    told = [answers.get(timeout=120) for dummy in controllers]
    for controller in controllers:
        controller.join()
    with reading(url) as connection:
        amounts = connection.execute(ALLOCATIONS.select()).all()
        macs = [row.mac for row in connection.execute(PORTS.select())]
        given = [row.address for row in connection.execute(ADDRESSES.select())]
    held = [row.host for row in amounts if row.resource_class == "VCPU"]
    assert all(held.count(f"vfr-h{number}") == ROOM for number in range(HOSTS)), held
    assert sum(one[1] for one in told) == CONTROLLERS * EACH - HOSTS * ROOM == 0, told
    assert len(set(macs)) == len(macs) == len(set(given)) == len(given) == CONTROLLERS * EACH


ROUNDS = 15


def same(url, number, go, answers):
    """One of two runs that boot the same specification again and again at the same moment."""
    for turn in range(ROUNDS):
        go.wait(60)
        terms = Terms(run=f"run-{turn}-{number}", quotas=UNLIMITED)
        asked = [instance(f"vm-{turn}-{index}", at=f"vfr-h{number}", ports=[]) for index in range(5)]
        with writing(url) as connection:
            outcomes = claim(connection, asked, [], terms)
        won = [{**one, **outcome.facts} for one, outcome in zip(asked, outcomes) if not outcome.error]
        with writing(url) as connection:
            settle(connection, won, terms)
        answers.put((turn, [outcome.facts["host"] for outcome in outcomes]))


def test_two_runs_of_the_same_specification_round_after_round(url):
    with writing(url) as connection:
        claim(
            connection,
            [],
            [host(f"vfr-h{number}", vcpus=200, memory_mb=10**6) for number in range(2)],
            Terms("prepare"),
        )
    answers, go = CONTEXT.Queue(), CONTEXT.Barrier(2)
    runs = [CONTEXT.Process(target=same, args=(url, number, go, answers)) for number in range(2)]
    for run in runs:
        run.start()
    told = [answers.get(timeout=60) for dummy in range(2 * ROUNDS)]
    with reading(url) as connection:
        rows = report.instances(connection, "2099-01-01 00:00:00")
    assert len(rows) == 5 * ROUNDS and {row["state"] for row in rows} == {"active"}
    at = {row["name"]: row["host"] for row in rows}
    for turn, hosts in told:
        assert hosts == [at[f"vm-{turn}-{index}"] for index in range(5)]


def hang(url, ready):
    """Claim, and be killed before the end of the transaction."""
    with writing(url) as connection:
        claim(connection, [instance(f"vm-{index}") for index in range(9)], [host()], Terms("run-1"))
        ready.set()
        time.sleep(60)


@pytest.mark.parametrize("existing", [True, False])
def test_a_run_killed_in_the_middle_leaves_nothing(url, on, existing):
    if existing:
        on(claim, [instance("before")], [host(vcpus=90)], Terms("run-0"))
    ready = CONTEXT.Event()
    process = CONTEXT.Process(target=hang, args=(url, ready))
    process.start()
    assert ready.wait(20)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    outcomes = on(claim, [instance(f"vm-{index}") for index in range(5)], [host(vcpus=90)], Terms("run-2"))
    assert all(one.changed for one in outcomes)
    rows = on(lambda connection: report.instances(connection, "2099-01-01 00:00:00"))
    assert len(rows) == 5 + existing


def test_a_thousand_claims_in_one_transaction(on):
    fleet = [host(f"vfr-h{number}", vcpus=64, memory_mb=10**6, disk_gb=10**5) for number in range(40)]
    terms = Terms("run-1", quotas=UNLIMITED)
    asked = [
        instance(f"vm-{index}", at=f"vfr-h{index % 40}", ports=[port(f"vm-{index}", subnets=[WIDE])])
        for index in range(1000)
    ]
    start = time.perf_counter()
    outcomes = on(claim, asked, fleet, terms)
    took = time.perf_counter() - start
    assert all(one.changed for one in outcomes)
    # The goal is 2 s; a machine that is busy with other things gets some more.
    assert took < 6, took
    print(f"1000 claims: {took:.2f} s")
