# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of a run that need not ask its hosts."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.action.recent_info import as_they_are

PORT = {"id": "p1", "network": "lan", "addresses": []}
ADDRESS = {"address": "192.0.2.10"}


def test_they_have_their_host_age_and_addresses_and_nothing_to_do():
    web = {"uuid": "u1", "name": "web", "state": "active", "ports": [PORT], "image": {"name": "halt"}}
    gone = {"uuid": "u2", "name": "gone", "state": "absent", "ports": []}
    kept = {"project": "default", "created_at": "2026-01-01 10:00:00", "ports": [{"id": "p1", "addresses": [ADDRESS]}]}
    found = [{"uuid": "u1", "name": "web", "host": "kvm1", "record": kept}]
    there, absent = as_they_are([web, gone], found)
    assert (there["host"], there["created_at"], there["todo"]) == ("kvm1", "2026-01-01 10:00:00", "none")
    assert there["ports"] == [{**PORT, "addresses": [ADDRESS]}] and there["image"] == {"name": "halt"}
    assert (there["existing"], there["failed"], there["power_state"]) == (True, False, "running")
    assert (absent["existing"], absent["failed"], absent["todo"]) == (False, False, "none")
