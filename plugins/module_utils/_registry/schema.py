# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the registry, their version, and how an older one becomes a newer one. Private to this collection.

Times are texts in UTC, "2026-01-31 10:00:00", which sort as they are. docs/registry.md says what each table is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._model.errors import ItemError
from .sql import sa

VERSION = 2
# The release of the collection that brought each version.
RELEASES = {1: "0.1.0", 2: "0.2.0"}
# Version -> what makes it from the one before, in the transaction that is open.
STEPS: dict[int, Callable[[Any], None]] = {}

if sa is not None:
    METADATA = sa.MetaData()

    def _text(name: str, **more: Any) -> Any:
        """Return a column of text that is always there, unless said otherwise."""
        return sa.Column(name, sa.Text, **{"nullable": False, **more})

    def _owner(**more: Any) -> Any:
        """Return a column that names the instance a row belongs to; the row goes with the instance."""
        key = sa.ForeignKey("instances.uuid", ondelete="CASCADE")
        return sa.Column("instance", sa.Text, key, nullable=False, **more)

    SCHEMA_VERSION = sa.Table(
        "schema_version",
        METADATA,
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        _text("release"),
        _text("at"),
    )
    HOSTS = sa.Table(
        "hosts",
        METADATA,
        _text("name", primary_key=True),
        sa.Column("record", sa.JSON, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("failed_builds", sa.Integer, nullable=False),
        _text("updated_at"),
    )
    INSTANCES = sa.Table(
        "instances",
        METADATA,
        _text("uuid", primary_key=True),
        _text("project"),
        _text("name"),
        _text("domain"),
        _text("host"),
        _text("state"),
        sa.Column("record", sa.JSON, nullable=False),
        sa.Column("pending", sa.JSON(none_as_null=True)),
        _text("spec_digest"),
        _text("run"),
        _text("lease_until", nullable=True),
        _text("created_at"),
        _text("updated_at"),
        sa.UniqueConstraint("project", "name"),
        sa.UniqueConstraint("host", "domain"),
    )
    ALLOCATIONS = sa.Table(
        "allocations",
        METADATA,
        _owner(primary_key=True),
        _text("host", primary_key=True, index=True),
        _text("resource_class", primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    PORTS = sa.Table(
        "ports",
        METADATA,
        _text("id", primary_key=True),
        _owner(index=True),
        _text("network"),
        _text("mac", unique=True),
    )
    ADDRESSES = sa.Table(
        "addresses",
        METADATA,
        # Empty for a network of all projects; a project's own network has its name here.
        _text("scope", primary_key=True),
        _text("network", primary_key=True),
        _text("address", primary_key=True),
        sa.Column("port", sa.Text, sa.ForeignKey("ports.id", ondelete="CASCADE"), nullable=False, index=True),
        _owner(index=True),
    )
    VOLUMES = sa.Table(
        "volumes",
        METADATA,
        _text("id", primary_key=True),
        _text("project"),
        _text("name"),
        # Empty for a volume that all hosts see.
        _text("host", index=True),
        sa.Column("instance", sa.Text, sa.ForeignKey("instances.uuid", ondelete="SET NULL"), index=True),
    )
    STEPS[2] = VOLUMES.create
    GROUP_MEMBERS = sa.Table(
        "group_members",
        METADATA,
        _text("project", primary_key=True),
        _text("name", primary_key=True),
        _owner(primary_key=True, index=True),
    )
    ACTIONS = sa.Table(
        "actions",
        METADATA,
        sa.Column("id", sa.Integer, primary_key=True),
        _text("at"),
        _text("instance", index=True),
        _text("project"),
        _text("name"),
        _text("action"),
        _text("host"),
        _text("run"),
        _text("who"),
        _text("why"),
    )


def version(connection: Any, where: str) -> int | None:
    """Return the version of the registry, None when there is nothing yet; what is none, or too new, is refused."""
    tables = sa.inspect(connection).get_table_names()
    if "schema_version" not in tables:
        if tables:
            raise ItemError(f"{where} is not a registry, it holds the table {tables[0]}: give it a database of its own")
        return None
    newest = sa.select(SCHEMA_VERSION).order_by(SCHEMA_VERSION.c.version.desc()).limit(1)
    found = connection.execute(newest).first()
    if found is None:
        raise ItemError(
            f"registry {where} is damaged (it has no version): put back a copy, or rebuild it from the hosts"
        )
    if found.version > VERSION:
        raise ItemError(
            f"registry {where} has schema {found.version} and this collection knows {VERSION}: "
            f"use virtfleet.compute {found.release} or later"
        )
    return found.version


def ensure(connection: Any, where: str, now: str) -> None:
    """The registry has all tables of this version; an older one is brought up to it."""
    found = version(connection, where)
    if found is None:
        METADATA.create_all(connection)
        found = VERSION - 1
    else:
        for number in range(found + 1, VERSION + 1):
            STEPS[number](connection)
    if found < VERSION:
        connection.execute(SCHEMA_VERSION.insert(), {"version": VERSION, "release": RELEASES[VERSION], "at": now})
