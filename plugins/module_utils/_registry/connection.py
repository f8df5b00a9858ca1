# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening the registry: one writer at a time, all or nothing, a sentence for each mishap. Private to this collection.

SQLite: write-ahead log (readers never wait), `BEGIN IMMEDIATE` (two writers never deadlock half-way), synchronous=FULL
(a commit survives a power cut). PostgreSQL: an advisory lock is taken first, so that a claim sees all claims before it,
as it does on SQLite.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from .._model.errors import ItemError
from . import schema
from .sql import clock, sa

# "vfrg": the advisory lock of whoever writes to a registry in PostgreSQL.
WRITER = 0x76667267
DRIVERS = ("psycopg2", "psycopg")
IN_MEMORY = "sqlite://"
USE = "registry {where} cannot be used: {reason}"
OPEN = "registry {where} cannot be opened ({reason}): the user on the registry host needs to write to its directory"
# What the reason has in it -> what a user reads.
REASONS = (
    (
        ("locked", "lock timeout"),
        "registry {where} was locked by another run for {timeout} s: try again when that run is through",
    ),
    (
        ("not a database", "malformed", "corrupt"),
        "registry {where} is damaged ({reason}): put back a copy, or move it away and rebuild it from the hosts",
    ),
    (
        ("disk is full", "no space left", "disk i/o error"),
        "registry {where} cannot be written ({reason}): free some space on its file system",
    ),
    (("unable to open", "readonly", "permission denied"), OPEN),
)


@contextmanager
def writing(url: str, timeout: int = 60, rehearse: bool = False) -> Iterator[Any]:
    """Give a connection in a transaction that nobody writes beside; it is committed at the end if nothing was raised.

    A rehearsal is rolled back instead, and makes no registry where there is none.
    """
    address = _address(url)
    where = _where(address)
    with ExitStack() as stack:
        stack.enter_context(_told(where, timeout))
        path = _path(address)
        if path and rehearse and not _exists(path):
            address, path = sa.engine.make_url(IN_MEMORY), None
        if path and not _exists(path):
            _make_file(path)
        connection = stack.enter_context(_transaction(address, "BEGIN IMMEDIATE", timeout, rehearse))
        if address.get_backend_name() == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{int(timeout)}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")
        schema.ensure(connection, where, clock(connection))
        yield connection


@contextmanager
def reading(url: str, timeout: int = 60) -> Iterator[Any]:
    """Give a connection that sees the registry as it was at one moment, or None where there is no registry yet."""
    address = _address(url)
    where = _where(address)
    with _told(where, timeout):
        if _path(address) and not _exists(_path(address)):
            yield None
            return
        with _transaction(address, "BEGIN", timeout, rehearse=True) as connection:
            if address.get_backend_name() == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found = schema.version(connection, where)
            if found is None or found == schema.VERSION:
                yield None if found is None else connection
                return
        # An older one is brought up to this version for the time of the look: who only reads changes nothing.
        with writing(url, timeout, rehearse=True) as connection:
            yield connection


def _address(url: str) -> Any:
    """Return the parsed URL with the driver that is installed; anything but SQLite and PostgreSQL is refused."""
    if sa is None:
        raise ItemError("SQLAlchemy is missing on the registry host: install python3-sqlalchemy there", fault="request")
    try:
        address = sa.engine.make_url(url)
    except sa.exc.ArgumentError:
        raise ItemError(
            "the registry URL cannot be read: write sqlite:////path/to/registry.db or postgresql://user@host/name",
            "request",
        )
    if address.get_backend_name() == "sqlite" and address.database and os.path.isabs(address.database):
        return address
    if address.get_backend_name() != "postgresql":
        told = "write sqlite:////path/to/registry.db with an absolute path, or postgresql://user@host/name"
        raise ItemError(f"the registry cannot be at {_where(address)}: {told}", fault="request")
    if "+" in address.drivername:
        return address
    for driver in DRIVERS:
        if importlib.util.find_spec(driver):
            return address.set(drivername=f"postgresql+{driver}")
    raise ItemError(
        "the PostgreSQL driver is missing on the registry host: install python3-psycopg2 there", fault="request"
    )


def _where(address: Any) -> str:
    """Return how a registry is named to people, which is without its password."""
    if address.get_backend_name() == "sqlite":
        return address.database or "memory"
    return address.set(drivername="postgresql").render_as_string(hide_password=True)


def _path(address: Any) -> str | None:
    """Return the file of an SQLite registry."""
    return address.database if address.get_backend_name() == "sqlite" else None


def _exists(path: str) -> bool:
    """Say whether the registry file is there; an empty one is what a killed run left before it held anything."""
    return os.path.exists(path) and os.path.getsize(path) > 0


def _make_file(path: str) -> None:
    """The file is there for its owner alone and keeps a write-ahead log; of several runs at once, one makes it."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # The folder is the lock: SQLite does not wait while it switches to the log, and a lock file would stay behind.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not _exists(path):
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _transaction(address: Any, begin: str, timeout: int, rehearse: bool) -> Iterator[Any]:
    """Give a connection in a transaction; commit it unless something was raised or it is a rehearsal."""
    engine = _engine(address, begin, timeout)
    try:
        with engine.connect() as connection:
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                transaction.rollback()
                raise
            if rehearse:
                transaction.rollback()
            else:
                transaction.commit()
    finally:
        engine.dispose()


def _engine(address: Any, begin: str, timeout: int) -> Any:
    """Return an engine, which is all that differs between the two databases."""
    options = {"future": True, "poolclass": sa.pool.NullPool}
    if address.get_backend_name() == "postgresql":
        return sa.create_engine(address, connect_args={"connect_timeout": max(2, min(timeout, 30))}, **options)
    engine = sa.create_engine(address, connect_args={"timeout": timeout}, **options)
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    """Set what SQLite keeps per connection; the driver begins no transactions of its own."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


@contextmanager
def _told(where: str, timeout: int) -> Iterator[None]:
    """Turn what the database or the file system raises into one sentence."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        raise ItemError(_sentence(reason, where, timeout))
    except sqlite3.Error as error:
        raise ItemError(_sentence(str(error), where, timeout))
    except OSError as error:
        raise ItemError(_sentence(error.strerror or str(error), where, timeout, OPEN))


def _sentence(reason: str, where: str, timeout: int, otherwise: str = USE) -> str:
    """Return what a user reads for what the database or the file system said."""
    for words, sentence in REASONS:
        if any(word in reason.lower() for word in words):
            return sentence.format(where=where, reason=reason, timeout=timeout)
    return otherwise.format(where=where, reason=reason)
