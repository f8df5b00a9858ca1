# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the registry: the tables of each are written down, an older one becomes a newer one with all in it."""

from __future__ import annotations

import multiprocessing
import pathlib
import sqlite3

import pytest
import sqlalchemy as sa
from registry_fleet import host, instance
from sqlalchemy.schema import CreateIndex, CreateTable

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import report, schema
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import reading, writing
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms

CONTEXT = multiprocessing.get_context("fork")
WRITTEN = pathlib.Path(__file__).parent / "schemas"
RUN = Terms(run="run-1")


def statements() -> str:
    """Return what makes the tables of this version."""
    made = []
    for table in schema.METADATA.sorted_tables:
        made += [CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=lambda index: index.name))]
    dialect = sa.create_engine("sqlite://").dialect
    return ";\n".join(" ".join(str(one.compile(dialect=dialect)).split()) for one in made) + ";\n"


def test_the_tables_of_this_version_are_as_written_down():
    """Who changes a table makes a new version: a number, a release, a step from the one before and such a file."""
    assert statements() == (WRITTEN / f"{schema.VERSION}.sql").read_text()


def test_each_version_has_a_release_and_a_step_from_the_one_before():
    assert sorted(schema.RELEASES) == [int(path.stem) for path in sorted(WRITTEN.iterdir())]
    assert sorted(schema.STEPS) == list(range(2, schema.VERSION + 1))


@pytest.mark.parametrize("number", range(1, schema.VERSION))
def test_each_older_version_becomes_this_one(number, tmp_path):
    """From the tables as they were written down, with an instance in them."""
    path = tmp_path / "registry.db"
    older = sqlite3.connect(path)
    older.executescript((WRITTEN / f"{number}.sql").read_text())
    older.execute("INSERT INTO schema_version VALUES (?, ?, '2026-01-01 10:00:00')", (number, schema.RELEASES[number]))
    older.commit()
    older.close()
    fill(f"sqlite:///{path}")
    with sqlite3.connect(path) as now:
        names = {row[0] for row in now.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        versions = [row[0] for row in now.execute("SELECT version FROM schema_version ORDER BY version")]
    assert set(schema.METADATA.tables) <= names
    assert versions == [number, schema.VERSION]


@pytest.fixture
def newer(monkeypatch):
    """A collection that is two versions ahead: one step adds a column, the next fills it from what is there."""

    def add(connection):
        connection.exec_driver_sql("ALTER TABLE hosts ADD COLUMN zone TEXT")

    def fill(connection):
        for row in connection.execute(schema.HOSTS.select()).all():
            statement = sa.text("UPDATE hosts SET zone = :zone || coalesce(zone, '') WHERE name = :name")
            connection.execute(statement, {"zone": row.record["availability_zone"], "name": row.name})

    first = schema.VERSION
    monkeypatch.setattr(schema, "VERSION", first + 2)
    monkeypatch.setattr(schema, "RELEASES", {**schema.RELEASES, first + 2: "3.0.0"})
    monkeypatch.setattr(schema, "STEPS", {**schema.STEPS, first + 1: add, first + 2: fill})


def fill(url):
    """The registry has a host, three instances and what they hold."""
    with writing(url) as connection:
        claim(connection, [instance(name) for name in "abc"], [host(availability_zone="rack-a")], RUN)


def open_all(url, go, answers):
    """Open the registry at the same moment as others, and tell what is in it."""
    go.wait(30)
    try:
        with writing(url) as connection:
            rows = report.instances(connection, "2099-01-01 00:00:00")
            zones = connection.exec_driver_sql("SELECT zone FROM hosts").scalars().all()
        answers.put(([row["addresses"] for row in rows], zones))
    except ItemError as error:
        answers.put(str(error))


def test_an_older_registry_is_brought_up_once_by_runs_that_come_together(url, request):
    fill(url)
    with reading(url) as connection:
        before = [row["addresses"] for row in report.instances(connection, "2099-01-01 00:00:00")]
    request.getfixturevalue("newer")
    answers, go = CONTEXT.Queue(), CONTEXT.Barrier(4)
    runs = [CONTEXT.Process(target=open_all, args=(url, go, answers)) for dummy in range(4)]
    for run in runs:
        run.start()
    # Filled twice it would say rack-arack-a.
    assert [answers.get(timeout=60) for dummy in runs] == [(before, ["rack-a"])] * 4
    with reading(url) as connection:
        kept = connection.execute(sa.select(schema.SCHEMA_VERSION.c.version)).scalars().all()
    assert kept == [schema.VERSION - 2, schema.VERSION]


def test_who_only_reads_an_older_registry_leaves_it_as_it_is(url, request):
    fill(url)
    request.getfixturevalue("newer")
    for way in (reading(url), writing(url, rehearse=True)):
        with way as connection:
            assert connection.exec_driver_sql("SELECT zone FROM hosts").scalars().all() == ["rack-a"]
            assert len(report.instances(connection, "2099-01-01 00:00:00")) == 3
    with sa.create_engine(url.replace("postgresql:", "postgresql+psycopg2:")).connect() as connection:
        assert connection.execute(sa.select(schema.SCHEMA_VERSION.c.version)).scalars().all() == [schema.VERSION - 2]


def test_a_step_that_fails_leaves_the_registry_as_it_was(url, monkeypatch, request):
    fill(url)
    with monkeypatch.context() as broken:
        newer = schema.VERSION + 1
        broken.setattr(schema, "VERSION", newer)
        broken.setattr(schema, "RELEASES", {newer: "2.0.0"})

        def step(connection):
            connection.exec_driver_sql("ALTER TABLE hosts ADD COLUMN zone TEXT")
            raise ItemError("host vfr-h1 has no zone: give it one")

        broken.setattr(schema, "STEPS", {newer: step})
        with pytest.raises(ItemError, match="has no zone"), writing(url):
            pass
    with writing(url) as connection:
        assert "zone" not in {column["name"] for column in sa.inspect(connection).get_columns("hosts")}
        assert len(report.instances(connection, "2099-01-01 00:00:00")) == 3


def test_an_older_collection_refuses_a_newer_registry_by_name(url, request, monkeypatch):
    fill(url)
    with monkeypatch.context():
        request.getfixturevalue("newer")
        with writing(url):
            pass
        newest = schema.VERSION
    monkeypatch.undo()
    assert newest > schema.VERSION
    told = rf"has schema {newest} and this collection knows {schema.VERSION}: use virtfleet.compute 3.0.0 or later"
    for way in (reading, writing):
        with pytest.raises(ItemError, match=told), way(url):
            pass
    with pytest.raises(ItemError, match=told), writing(url, rehearse=True):
        pass
