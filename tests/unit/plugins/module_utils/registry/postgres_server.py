# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server of the tests' own: the distribution's programs, a temporary folder, a free port."""

from __future__ import annotations

import glob
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager

import sqlalchemy as sa

USER = "virtfleet"


def programs() -> str | None:
    """Return the folder of initdb and pg_ctl, None where no server is installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[4]))
    return found[-1] if found else os.path.dirname(shutil.which("initdb") or "") or None


def call(*words: str) -> None:
    """Run a program as a user that PostgreSQL does not refuse; it refuses root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *words], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout.decode()}")


@contextmanager
def server(**settings: str):
    """Give the URL of a running server, without a database name; it and all it held are gone at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="vfr-postgres-")
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    ctl, data = f"{programs()}/pg_ctl", f"{folder}/data"
    given = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": folder, **settings}
    try:
        call(f"{programs()}/initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        call(ctl, "-D", data, "-l", f"{folder}/log", "-o", options, "-w", "-t", "60", "start")
        yield f"postgresql://{USER}@127.0.0.1:{port}"
    finally:
        if pathlib.Path(data, "postmaster.pid").exists():
            call(ctl, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def empty_database(url: str) -> str:
    """Return the URL of the database `registry` of a server, which is new and holds nothing."""
    driven = url.replace("postgresql:", "postgresql+psycopg2:")
    engine = sa.create_engine(f"{driven}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS registry WITH (FORCE)")
        connection.exec_driver_sql("CREATE DATABASE registry")
    engine.dispose()
    return f"{url}/registry"
