# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The saved port files: the truth about ports on a host, from which rules and taps can be made again. Private."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator

from .._model.errors import ItemError
from .port import Port, from_dict, to_dict

# The folders: of ports, and of networks that are kept without any (kept.py).
PORTS, NETWORKS = "ports", "networks"


@contextlib.contextmanager
def lock(run_dir: str) -> Iterator[None]:
    """Hold the host's lock for ports: one run at a time reads, decides and changes."""
    try:
        os.makedirs(run_dir, exist_ok=True)
        handle = open(os.path.join(run_dir, "ports.lock"), "w")  # noqa: SIM115 - closed below, with the lock
    except OSError as error:
        raise ItemError(f"cannot lock the ports of this host in {run_dir}: {error.strerror}")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def replace(path: str, content: str | bytes, mode: int) -> None:
    """Put the content into the file so that a reader sees the old or the new one, never half of it."""
    draft = f"{path}.new"
    content = content.encode() if isinstance(content, str) else content
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        os.replace(draft, path)
    except OSError as error:
        raise ItemError(f"cannot write {path}: {error.strerror}")


def folder(state_dir: str, kind: str = PORTS) -> str:
    """Return the folder of the files of a kind."""
    return os.path.join(state_dir, kind)


def path_of(state_dir: str, port_id: str, kind: str = PORTS) -> str:
    """Return the file of a port."""
    return os.path.join(folder(state_dir, kind), f"{port_id}.json")


def contents(state_dir: str, kind: str = PORTS) -> dict[str, bytes]:
    """Return the files of a kind as they are, by the id of the port."""
    found, where = {}, folder(state_dir, kind)
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(where)):
            if not name.endswith(".json"):
                continue
            try:
                with open(f"{where}/{name}", "rb", buffering=0) as file:
                    found[name[:-5]] = file.readall()
            except OSError as error:
                raise unreadable(path_of(state_dir, name[:-5], kind), error)
    return found


def unreadable(path: str, error: Exception) -> ItemError:
    """Return the error of a file that stops us, for its port would lose its rules."""
    return ItemError(f"the saved port {path} cannot be read ({error}): remove it and run again")


def parsed(state_dir: str, files: dict[str, bytes], kind: str = PORTS) -> dict[str, Port]:
    """Return the ports of the files by their id."""
    ports = {}
    for name, content in files.items():
        try:
            port = from_dict(json.loads(content))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise unreadable(path_of(state_dir, name, kind), error)
        ports[port.id] = port
    return ports


def read(state_dir: str, kind: str = PORTS) -> dict[str, Port]:
    """Return every saved port by its id."""
    return parsed(state_dir, contents(state_dir, kind), kind)


def text(port: Port) -> bytes:
    """Return the file that keeps the port."""
    return (json.dumps(to_dict(port), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write(state_dir: str, ports: Iterable[Port], kind: str = PORTS) -> None:
    """Save the ports, each in a file of its own."""
    try:
        os.makedirs(folder(state_dir, kind), mode=0o700, exist_ok=True)
    except OSError as error:
        raise ItemError(f"cannot create {folder(state_dir, kind)}: {error.strerror}")
    for port in ports:
        replace(path_of(state_dir, port.id, kind), text(port), 0o600)


def remove(state_dir: str, ports: Iterable[Port], kind: str = PORTS) -> None:
    """Forget the ports; one that is not saved is no error."""
    for port in ports:
        try:
            os.unlink(path_of(state_dir, port.id, kind))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ItemError(f"cannot remove {path_of(state_dir, port.id, kind)}: {error.strerror}")
