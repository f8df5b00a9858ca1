# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a registry: what is made, and one sentence for each thing that is wrong."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import stat

import pytest
from registry_fleet import host, instance

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import connection as opening
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import schema
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import reading, writing
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms

RUN = Terms(run="run-1")


def open_and_close(url, **more):
    with writing(url, **more):
        pass


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "a" / "registry" / "registry.db"
    open_and_close(f"sqlite:///{path}")
    assert mode(path) == 0o600 and mode(path.parent) == 0o700
    with writing(f"sqlite:///{path}") as connection:
        claim(connection, [instance()], [host()], RUN)
        assert {mode(path.parent / name) for name in os.listdir(path.parent)} == {0o600}
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_reading_and_rehearsing_make_no_registry(tmp_path):
    url = f"sqlite:///{tmp_path}/registry/registry.db"
    with reading(url) as connection:
        assert connection is None
    with writing(url, rehearse=True) as connection:
        assert claim(connection, [instance()], [host()], RUN)[0].changed
    assert os.listdir(tmp_path) == []


def test_what_raises_is_rolled_back(url, on):
    with pytest.raises(ZeroDivisionError), writing(url) as connection:
        claim(connection, [instance()], [host()], RUN)
        raise ZeroDivisionError
    assert on(claim, [instance()], [host()], RUN)[0].facts["generation"] == 1


def test_readers_do_not_wait_for_a_writer(url):
    open_and_close(url)
    with writing(url) as connection:
        claim(connection, [instance()], [host()], RUN)
        with reading(url, timeout=1) as reader:
            assert reader.execute(schema.INSTANCES.select()).all() == []


def test_a_second_writer_waits_and_says_for_whom(url):
    open_and_close(url)
    with writing(url), pytest.raises(ItemError, match=r"was locked by another run for 1 s: try again"):
        open_and_close(url, timeout=1)


def test_a_newer_schema_is_refused_by_name(url):
    with writing(url) as connection:
        connection.execute(schema.SCHEMA_VERSION.insert(), {"version": 99, "release": "7.5.0", "at": ""})
    for way in (reading, writing):
        with (
            pytest.raises(ItemError, match=f"has schema 99 and this collection knows {schema.VERSION}: use .* 7.5.0"),
            way(url),
        ):
            pass


def test_an_older_schema_is_brought_up_step_by_step(url, monkeypatch):
    open_and_close(url)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 2)
    monkeypatch.setattr(schema, "RELEASES", {schema.VERSION: "3.0.0"})
    add = "ALTER TABLE instances ADD COLUMN {} TEXT"
    names = {schema.VERSION - 1: "c2", schema.VERSION: "c3"}
    steps = {
        number: lambda connection, n=name: connection.exec_driver_sql(add.format(n)) for number, name in names.items()
    }
    monkeypatch.setattr(schema, "STEPS", steps)
    open_and_close(url, rehearse=True)
    with reading(url) as connection:
        assert connection.exec_driver_sql("SELECT c2, c3 FROM instances").all() == []
        newest = connection.exec_driver_sql("SELECT max(version) FROM schema_version").scalar_one()
    assert newest == schema.VERSION


def test_a_database_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (id)")
    connection.commit()
    connection.close()
    with pytest.raises(ItemError, match=r"other.db is not a registry, it holds the table bookmarks"):
        open_and_close(f"sqlite:///{path}")


@pytest.mark.parametrize("content", [b"not a database at all" * 300, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "registry.db"
    path.write_bytes(content)
    for way in (reading, writing):
        with (
            pytest.raises(ItemError, match=r"registry .*registry.db is damaged \(.*rebuild it from the hosts"),
            way(f"sqlite:///{path}"),
        ):
            pass
    assert path.read_bytes() == content


def test_a_page_damaged_in_the_middle_is_named(tmp_path):
    path = tmp_path / "registry.db"
    with writing(f"sqlite:///{path}") as connection:
        claim(connection, [instance(f"vm-{number}") for number in range(9)], [host(vcpus=90)], RUN)
    shutil.copy(path, tmp_path / "whole.db")
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 60] = b"\xaa" * 60
    path.write_bytes(content)
    with pytest.raises(ItemError, match="is damaged"), writing(f"sqlite:///{path}") as connection:
        claim(connection, [instance()], [host()], RUN)


@pytest.mark.parametrize(
    "url,told",
    [
        ("sqlite:///relative.db", "absolute path"),
        ("sqlite://", "absolute path"),
        ("mysql://root:secret@db/x", "sqlite:////path"),
        ("nonsense", "cannot be read"),
        ("sqlite:////proc/vfr/registry.db", "cannot be opened"),
        ("sqlite:////etc/hostname/registry.db", "cannot be opened"),
    ],
)
def test_a_place_where_no_registry_can_be(url, told):
    with pytest.raises(ItemError, match=told) as refused:
        open_and_close(url)
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_server_that_does_not_answer(monkeypatch):
    pytest.importorskip("psycopg2")
    with pytest.raises(ItemError, match=r"postgresql://u:\*\*\*@127.0.0.1:9/x cannot be used: .*refused") as refused:
        open_and_close("postgresql://u:secret@127.0.0.1:9/x")
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_without_sqlalchemy_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(opening, "sa", None)
    with pytest.raises(ItemError, match="install python3-sqlalchemy"):
        open_and_close("sqlite:////tmp/vfr-never.db")


def as_nobody(url, answer):
    """Try to write as a user who may not."""
    os.setgid(65534)
    os.setuid(65534)
    try:
        open_and_close(url, timeout=1)
        answer.put("it opened")
    except ItemError as error:
        answer.put(str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be refused as")
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_may_not_be_written(tmp_path, there):
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    url = f"sqlite:///{tmp_path}/registry.db"
    if there:
        open_and_close(url)
        (tmp_path / "registry.db").chmod(0o644)
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    process = context.Process(target=as_nobody, args=(url, answer))
    process.start()
    assert "the user on the registry host needs to write to its directory" in answer.get(timeout=20)
    process.join()
