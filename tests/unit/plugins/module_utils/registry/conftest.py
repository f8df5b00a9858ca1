# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries to test with: an SQLite file each, and a database of a real PostgreSQL server."""

from __future__ import annotations

import importlib.util
import os

import postgres_server
import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import writing

# VIRTFLEET_TEST_REGISTRY=both: a machine that cannot do both does not pass, as it would by leaving one out.
WANTED = os.environ.get("VIRTFLEET_TEST_REGISTRY", "")
HERE = bool(postgres_server.programs() and importlib.util.find_spec("psycopg2"))


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL server without a database name."""
    with postgres_server.server() as url:
        yield url


@pytest.fixture
def database(postgresql):
    """The URL of an empty database."""
    return postgres_server.empty_database(postgresql)


@pytest.fixture(params=["sqlite", "postgresql"] if HERE or WANTED == "both" else ["sqlite"])
def url(request, tmp_path):
    """The URL of an empty registry."""
    if request.param == "postgresql":
        return request.getfixturevalue("database")
    return f"sqlite:///{tmp_path}/registry/registry.db"


@pytest.fixture
def on(url):
    """Call a function of the registry in a transaction of its own and return what it returns."""

    def call(function, *arguments, rehearse=False):
        with writing(url, timeout=30, rehearse=rehearse) as connection:
            return function(connection, *arguments)

    return call
