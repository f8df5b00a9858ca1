# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host that work on disks. Private to this collection."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .._model.errors import ItemError

if TYPE_CHECKING:
    from .volume import Volume


DISPLACED = ".old"  # what a restored volume has taken the place of, for a moment


def refuse_displaced(volume: Volume, there: Callable[[str], bool]) -> None:
    """Raise ItemError where a restore was killed in that moment: the volume is not to be made anew then."""
    old = volume.path + DISPLACED
    if volume.id and there(old) and not there(volume.path):
        told = f"a restore of volume {volume.name} was broken off between two steps: rename {old} back to {volume.path}"
        raise ItemError(f"{told}, and restore it again", fault="request")


def run(
    command: Sequence[str], missing: str, env: Mapping[str, str] | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Return how a program ended; ItemError saying `missing` where it is not installed.

    It gets nothing to read, for it may ask. A timeout in seconds raises subprocess.TimeoutExpired.
    """
    pipes = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace"}
    try:
        return subprocess.run(command, check=False, env=env, timeout=timeout, **pipes)
    except FileNotFoundError:
        raise ItemError(missing)


def checked(done: subprocess.CompletedProcess[str], what: str) -> str:
    """Return what a program printed; ItemError with the last line of its complaint when it failed."""
    if done.returncode:
        words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ItemError(f"{what} failed: {words[-1] if words else f'exit code {done.returncode}'}")
    return done.stdout
