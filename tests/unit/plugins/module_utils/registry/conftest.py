# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries to test with: an SQLite file each and, where the environment names one, a PostgreSQL database too."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import writing

SERVER = os.environ.get("VIRTFLEET_TEST_REGISTRY_URL", "")


@pytest.fixture(params=["sqlite", "postgresql"] if SERVER else ["sqlite"])
def url(request, tmp_path):
    """The URL of an empty registry; VIRTFLEET_TEST_REGISTRY_URL names a PostgreSQL database that may be emptied."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/registry/registry.db"
        return
    engine = sa.create_engine(SERVER.replace("postgresql://", "postgresql+psycopg2://"), future=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    yield SERVER


@pytest.fixture
def on(url):
    """Call a function of the registry in a transaction of its own and return what it returns."""

    def call(function, *arguments, rehearse=False):
        with writing(url, timeout=30, rehearse=rehearse) as connection:
            return function(connection, *arguments)

    return call
