# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that ends a run."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.filter.table import age, as_time, state, table, width

NOW = "2026-01-02 10:00:00"


def record(name, **more):
    ports = [{"addresses": [{"address": "192.0.2.1"}, {"address": "2001:db8::1"}]}]
    return {
        "name": name,
        "state": "active",
        "host": "kvm1",
        "ports": ports,
        "created_at": "2026-01-02 09:58:00",
        **more,
    }


def test_the_table():
    image, flavor = {"image": {"name": "debian-12"}}, {"flavor": {"name": "m1.small"}}
    rows = [
        record("web-1", **image, **flavor),
        record("Grün-🐘", project="shop", ports=[], host=None, failed=True, msg="no host: 3 hosts -> 0 memory"),
        record("db", state="stopped", power_state="shutdown"),
    ]
    assert table(rows, NOW) == [
        "NAME          STATE    HOST  ADDRESSES               IMAGE      FLAVOR    AGE",
        "web-1         active   kvm1  192.0.2.1, 2001:db8::1  debian-12  m1.small  2m",
        "shop/Grün-🐘  failed   -     -                       -          -         2m",
        "  no host: 3 hosts -> 0 memory",
        "db            stopped  kvm1  192.0.2.1, 2001:db8::1  -          -         2m",
    ]


def test_what_waits_for_the_next_boot_is_told():
    rows = [record("web", pending_changes=["flavor.vcpus: 1 -> 2 (next boot)"]), record("db", pending_changes=[])]
    assert [line.strip() for line in table(rows, NOW)[1:] if "kvm1" not in line] == ["flavor.vcpus: 1 -> 2 (next boot)"]


def test_an_empty_table_has_headings():
    assert table([]) == ["NAME  STATE  HOST  ADDRESSES  IMAGE  FLAVOR  AGE"]


@pytest.mark.parametrize("text,columns", [("web", 3), ("日本", 4), ("ü", 1), ("u\u0308", 1), ("🐘", 2), ("", 0)])
def test_widths(text, columns):
    assert width(text) == columns


@pytest.mark.parametrize(
    "born,told",
    [
        ("2026-01-02 09:59:30", "30s"),
        ("2026-01-02 09:00:00", "1h"),
        ("2025-12-31 10:00:00", "2d"),
        ("2026-01-03 10:00:00", "0s"),
        (None, "-"),
        ("soon", "-"),
    ],
)
def test_ages(born, told):
    assert age(born, as_time(NOW)) == told


@pytest.mark.parametrize(
    "given,told",
    [
        ({"state": "active", "power_state": "running"}, "active"),
        ({"state": "active", "power_state": "paused"}, "active (paused)"),
        ({"state": "stopped", "power_state": "running"}, "stopped (running)"),
        ({"state": "active"}, "active"),
        ({"state": "absent", "power_state": "running"}, "absent"),
        ({"state": "active", "failed": True}, "failed"),
    ],
)
def test_states(given, told):
    assert state(given) == told


def test_each_host_that_failed_an_instance_has_a_line():
    tried = [{"host": "kvm1", "msg": "no space left"}]
    common = {"name": "a", "state": "active", "tried": tried}
    assert table([{**common, "host": "kvm2"}])[2:] == ["  not on kvm1: no space left"]
    failed = {**common, "failed": True, "msg": "no bridge br0"}
    assert table([{**failed, "host": "kvm2"}])[2:] == [
        "  not on kvm1: no space left",
        "  not on kvm2: no bridge br0; tried with 2 hosts",
    ]
    assert table([{**failed, "msg": "no host: 2 hosts"}])[3] == "  no host: 2 hosts; tried with one host"
