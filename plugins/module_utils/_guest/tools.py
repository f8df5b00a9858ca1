# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls to the tools of the host. Private to this collection."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from .._model.errors import ItemError

# Unpacking packages depends on the mirror; everything else takes a second.
DEADLINE = 900


def require(tools: Sequence[str]) -> None:
    """Raise unless all the tools are installed."""
    missing = [tool for tool in tools if not which(tool)]
    if missing:
        raise ItemError(f"the guest image needs {', '.join(missing)} on the host: install the packages that have them")


def which(tool: str) -> str:
    """Return the path of a tool, looking into the directories of the administrator too, or an empty string."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(tool, path=path) or ""


def run(argv: Sequence[str], stdin: str = "") -> str:
    """Return what the tool printed; its last words become the error if it fails."""
    try:
        done = subprocess.run(
            [which(argv[0]) or argv[0], *argv[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise ItemError(f"{argv[0]} did not end within {DEADLINE} seconds")
    except OSError as error:
        raise ItemError(f"cannot run {argv[0]}: {error.strerror}")
    if done.returncode:
        raise ItemError(f"{argv[0]} failed with status {done.returncode}: {last_words(done.stderr or done.stdout)}")
    return done.stdout


def last_words(text: str) -> str:
    """Return the last lines of a tool's output that say something, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or "it said nothing"
