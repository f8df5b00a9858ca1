# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases in real time: a run that outlives its lease keeps it, one that is killed loses it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
from registry_fleet import host, instance

from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import writing
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.settle import release, renew

CONTEXT = multiprocessing.get_context("fork")
LEASE = 3
NAMES = ("a", "b")


def work(url, claimed):
    """Claim, and renew the claims until something kills this run."""
    mine = Terms("run-1", lease=LEASE)
    with writing(url) as connection:
        claim(connection, [instance(name) for name in NAMES], [host()], mine)
    claimed.set()
    while True:
        time.sleep(1)
        with writing(url) as connection:
            renew(connection, [instance(name) for name in NAMES], mine)


def ask(url, function, run="run-2"):
    """Return what another run is told, instance by instance."""
    with writing(url) as connection:
        told = {"gathered": []} if function is release else {}
        arguments = (connection, [instance(name) for name in NAMES], *([[]] if function is claim else []), Terms(run))
        return [one.error for one in function(*arguments, **told)]


@pytest.mark.parametrize("function", [claim, release], ids=["adopt", "release"])
def test_a_lease_lasts_as_long_as_its_run_and_no_longer(url, function):
    claimed = CONTEXT.Event()
    run = CONTEXT.Process(target=work, args=(url, claimed), daemon=True)
    run.start()
    assert claimed.wait(30)
    for dummy in range(2 * LEASE):
        time.sleep(1)
        assert all("run run-1 is at work on it" in error for error in ask(url, function)), "the lease was lost"
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    assert all("run run-1 is at work on it" in error for error in ask(url, function))
    time.sleep(LEASE + 1)
    assert ask(url, function) == ["", ""]
