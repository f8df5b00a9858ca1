# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that cannot be used: one sentence of the run, and nothing is changed."""

from __future__ import annotations

import sqlite3

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._registry import schema
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import reading, writing

from .conftest import Controller, host, inventory


def refusal(folder, url, **more) -> str:
    """Return the one line in which a run says what is wrong with its registry."""
    hosts = inventory(folder, url, [host("kvm01", 5, 0)])
    output = Controller(folder, hosts, "one", 2, **more).refusal()
    lines = [line for line in output.splitlines() if "registry" in line.lower()]
    assert len(lines) == 1, output
    assert "Traceback" not in output
    return lines[0]


def nothing_claimed(url) -> bool:
    """Say whether the registry has no instance."""
    with reading(url) as connection:
        return connection.execute(schema.INSTANCES.select()).all() == []


def test_one_that_is_locked(url, tmp_path):
    with writing(url):
        pass
    with writing(url):
        told = refusal(tmp_path, url, claim_timeout=2)
    assert "was locked by another run for 2 s: try again when that run is through" in told
    assert nothing_claimed(url)


def test_one_of_a_newer_release(url, tmp_path):
    with writing(url) as connection:
        connection.execute(schema.SCHEMA_VERSION.insert(), {"version": 99, "release": "7.5.0", "at": ""})
    told = refusal(tmp_path, url)
    assert f"has schema 99 and this collection knows {schema.VERSION}: use virtfleet.compute 7.5.0 or later" in told


@pytest.mark.parametrize(
    "url,told",
    [
        ("sqlite:////proc/vfr/registry.db", "registry /proc/vfr/registry.db cannot be opened"),
        ("sqlite:///relative.db", "write sqlite:////path/to/registry.db with an absolute path"),
        ("mysql://root:secret@db/x", "write sqlite:////path/to/registry.db with an absolute path"),
        (
            "postgresql://virtfleet:secret@127.0.0.1:9/x",
            "registry postgresql://virtfleet:***@127.0.0.1:9/x cannot be used",
        ),
    ],
)
def test_one_that_cannot_be_opened(tmp_path, url, told):
    line = refusal(tmp_path, url)
    assert told in line and "secret" not in line


def test_a_database_that_is_not_there(tmp_path, postgresql):
    assert 'database "nobody" does not exist' in refusal(tmp_path, f"{postgresql}/nobody")


def test_a_database_of_somebody_else(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE bookmarks (id)")
    told = refusal(tmp_path, f"sqlite:///{tmp_path}/other.db")
    assert "other.db is not a registry, it holds the table bookmarks: give it a database of its own" in told
    assert [row[0] for row in sqlite3.connect(tmp_path / "other.db").execute("select name from sqlite_master")] == [
        "bookmarks"
    ]
