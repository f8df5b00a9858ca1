# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a compute host consists of, and what of it is missing. Private to this collection."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._model.errors import ItemError

# Where distributions keep the Python that their own packages are for.
INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python")


def of_this_system(choices: Mapping[str, Any], release: Mapping[str, str], what: str) -> Any:
    """Return the entry for this distribution, by its ID or else by the first it says it is like; nothing of nothing."""
    if not choices:
        return []
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    for name in names:
        if name in choices:
            return choices[name]
    raise ItemError(
        f"no {what} are known for '{names[0] or 'an unknown system'}', only for {', '.join(sorted(choices))}: "
        f"add an entry '{names[0]}' to the variable"
    )


def missing_packages(names: Sequence[str]) -> list[str]:
    """Return the packages that are not installed, as dpkg or rpm knows."""
    if not names:
        return []
    if os.path.exists("/usr/bin/dpkg-query"):
        return dpkg_missing(names, _output(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names]))
    return rpm_missing(names, _output(["rpm", "-q", "--qf", "%{NAME}\n", "--whatprovides", *names]))


def dpkg_missing(names: Sequence[str], listing: str) -> list[str]:
    """Return the names that dpkg-query does not list as installed."""
    installed = {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def rpm_missing(names: Sequence[str], listing: str) -> list[str]:
    """Return the names of which rpm says that nothing provides them."""
    return [name for name in names if f"no package provides {name}" in listing.splitlines()]


def _output(argv: Sequence[str]) -> str:
    """Return what a query printed, whatever its status: a name it does not know is no error to us."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    except OSError as error:
        raise ItemError(f"cannot ask for the installed packages: {argv[0]}: {error.strerror}")
    return done.stdout


def missing_directories(paths: Sequence[str], mode: str) -> list[str]:
    """Return the paths that are no directory with this mode (octal text)."""
    return [path for path in paths if not os.path.isdir(path) or os.stat(path).st_mode & 0o7777 != int(mode, 8)]


def missing_settings(text: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a libvirt configuration file that it does not have with this value.

    As in libvirt, the first line that sets a key counts. Values are as in the file: text has its quotes.
    """
    have: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            have.setdefault(key.strip(), value.strip())
    return {key: value for key, value in wanted.items() if have.get(key) != value}


def read_text(path: str) -> str:
    """Return the content of a file, nothing if there is no such file."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def interpreter(modules: Sequence[str], candidates: Iterable[str] = INTERPRETERS) -> str:
    """Return the Python that has all the modules: this one if it can, else the first that can, else nothing."""
    if all(importlib.util.find_spec(module) for module in modules):
        return sys.executable
    for candidate in candidates:
        if candidate != sys.executable and os.access(candidate, os.X_OK) and _has(candidate, modules):
            return candidate
    return ""


def _has(python: str, modules: Sequence[str]) -> bool:
    """Return whether that Python finds all the modules."""
    code = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
    return subprocess.run([python, "-c", code, *modules], capture_output=True, check=False).returncode == 0
